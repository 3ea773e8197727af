"""One statement for many rows, whichever way the database takes them fastest.

PostgreSQL gets all rows as one JSON parameter and joins with it: one round trip, one plan, and a third of the time of
as many statements. SQLite, which has no round trips, runs the statement row by row, which is twice as fast there as
reading JSON. A statement is written once, in terms of the columns of a row, and does not know which of the two it is.

Statements are compiled to text once. SQLAlchemy's own cache spares the compiling, and still spends more on each row of
a batch than SQLite does.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
from typing import Any, Final

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    CursorResult,
    Delete,
    Dialect,
    Integer,
    LargeBinary,
    Table,
    Text,
    Update,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.types import TypeEngine

from api_exchange_core.adapters.sql.time_types import UtcDateTime, check_aware, microseconds
from api_exchange_core.domain.errors import PermanentError

Row = Mapping[str, ColumnElement[Any]]
"""The columns of one of the rows, for use in a statement."""

Values = Mapping[str, Any]
Kinds = Mapping[str, TypeEngine[Any]]
Insert = postgresql.Insert | sqlite.Insert
_Statement = Insert | ReturningInsert[Any] | Update | Delete

_ROWS: Final = "rows_"
_NUMBER: Final = "number_"
_POSITION: Final = "position_"
_BOUND: Final = "row_"
_COUNTED: Final = {"preserve_rowcount": True}  # unasked, SQLAlchemy keeps the count of UPDATE and DELETE only


class ForEachRow:
    """An UPDATE or DELETE that is carried out for each of many rows.

    Args:
        kinds: what a row holds, with its types.
        statement: the statement for one row.
    """

    def __init__(self, kinds: Kinds, statement: Callable[[Row], Update | Delete]) -> None:
        # Plain names of columns are kept by SQLAlchemy for what an UPDATE sets.
        bound = {name: bindparam(_BOUND + name, type_=kind) for name, kind in kinds.items()}
        self._joined = _Joined(statement(_from_json(kinds)), kinds)
        self._repeated = _Repeated(statement(bound), kinds, {_BOUND + name: name for name in kinds})

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Carry it out for *rows*; how many rows of the database it found."""
        way = self._repeated if connection.dialect.name == "sqlite" else self._joined
        return way.run(connection, rows).rowcount


class InsertRows:
    """An INSERT of many rows, in their order.

    Args:
        table: takes the rows.
        finish: adds what else the statement needs, such as ON CONFLICT.
        without: columns that the rows do not fill.
    """

    def __init__(
        self,
        table: Table,
        finish: Callable[[Insert], Insert] = lambda insert: insert,
        *,
        without: Collection[str] = (),
    ) -> None:
        kinds = _kinds_of(table, without)
        self._joined = _Joined(finish(_insert_from_json(table, kinds)), kinds)
        self._repeated = _Repeated(finish(sqlite.insert(table)), kinds, {name: name for name in kinds})

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Insert *rows*; how many rows it was in the end."""
        if connection.dialect.name == "sqlite":
            return self._repeated.run(connection, rows).rowcount
        return self._joined.run(connection, _numbered(rows)).rowcount


class InsertRowsReturning:
    """An INSERT of many rows, in their order, that gives back something of each row that was written.

    Args:
        table: takes the rows.
        finish: adds RETURNING, and what else the statement needs.
        without: columns that the rows do not fill.
    """

    def __init__(
        self, table: Table, finish: Callable[[Insert], ReturningInsert[Any]], *, without: Collection[str] = ()
    ) -> None:
        kinds = _kinds_of(table, without)
        self._joined = _Joined(finish(_insert_from_json(table, kinds)), kinds)
        self._bound = finish(sqlite.insert(table))

    def run(self, connection: Connection, rows: Sequence[Values]) -> Sequence[Any]:
        """Insert *rows*; the first value of each that was written, in any order."""
        return self._result(connection, rows).scalars().all()

    def run_for_all(self, connection: Connection, rows: Sequence[Values]) -> Sequence[SqlRow[Any]]:
        """Insert *rows*; all the values of each that was written, in any order."""
        return self._result(connection, rows).all()

    def _result(self, connection: Connection, rows: Sequence[Values]) -> CursorResult[Any]:
        if connection.dialect.name == "sqlite":
            # The driver repeats no statement that returns something; SQLAlchemy makes one of all rows.
            return connection.execute(self._bound, rows)
        return self._joined.run(connection, _numbered(rows))


class _Joined:
    """A statement that joins with the rows of a JSON parameter."""

    def __init__(self, statement: _Statement, kinds: Kinds) -> None:
        self._statement = statement
        self._times = [name for name, kind in kinds.items() if isinstance(kind, UtcDateTime)]
        self._compiled: tuple[str, dict[str, Any]] | None = None

    def run(self, connection: Connection, rows: Sequence[Values]) -> CursorResult[Any]:
        if self._compiled is None:
            compiled = self._statement.compile(dialect=connection.dialect)
            self._compiled = compiled.string, dict(compiled.params)
        text, constants = self._compiled
        with _storable():
            parameters = constants | {_ROWS: _as_json(rows, self._times), _NUMBER: len(rows)}
        return connection.exec_driver_sql(text, parameters, execution_options=_COUNTED)


@dataclass(frozen=True, slots=True)
class _Place:
    """What is bound at one of a statement's question marks: a column of the row, or a constant."""

    name: str | None
    process: Callable[[Any], Any] | None = None
    constant: Any = None

    def values(self, rows: Sequence[Values]) -> Iterable[Any]:
        """What is bound there, for one row after the other."""
        if self.name is None:
            return repeat(self.constant, len(rows))
        if self.process is None:
            return [row[self.name] for row in rows]
        return [self.process(row[self.name]) for row in rows]


class _Repeated:
    """A statement that is run for one row after the other."""

    def __init__(self, statement: _Statement, kinds: Kinds, names: Mapping[str, str]) -> None:
        self._statement = statement
        self._kinds = kinds
        self._names = names
        self._compiled: tuple[str, list[_Place]] | None = None

    def run(self, connection: Connection, rows: Sequence[Values]) -> CursorResult[Any]:
        if self._compiled is None:
            self._compiled = self._compile(connection.dialect)
        text, places = self._compiled
        with _storable():
            parameters = list(zip(*(place.values(rows) for place in places), strict=True))
        return connection.exec_driver_sql(text, parameters, execution_options=_COUNTED)

    def _compile(self, dialect: Dialect) -> tuple[str, list[_Place]]:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(self._names))
        places = []
        for bound in compiled.positiontup or ():
            name = self._names.get(bound)
            if name is None:
                places.append(_Place(None, constant=compiled.params[bound]))
            else:
                places.append(_Place(name, self._kinds[name].dialect_impl(dialect).bind_processor(dialect)))
        return compiled.string, places


def _kinds_of(table: Table, without: Collection[str]) -> Kinds:
    return {column.name: column.type for column in table.columns if column.name not in without}


def _insert_from_json(table: Table, kinds: Kinds) -> postgresql.Insert:
    given = _from_json({**kinds, _POSITION: Integer()})
    in_order = select(*(given[name] for name in kinds)).order_by(given[_POSITION])
    return postgresql.insert(table).from_select(list(kinds), in_order)


def _from_json(kinds: Kinds) -> Row:
    """The columns of the rows in the JSON parameter."""
    rows = func.json_to_recordset(sql_cast(bindparam(_ROWS, type_=Text), JSON))
    table = rows.table_valued(
        *(column(name, Text() if isinstance(kind, LargeBinary) else kind) for name, kind in kinds.items())
    ).render_derived(name="in_json", with_types=True)
    # The limit is how the planner hears of their number. It takes a function to return a hundred, and for one
    # row would rather read a whole table than look into its index a hundred times.
    given = select(table).limit(bindparam(_NUMBER, type_=Integer)).subquery("given")
    return {
        name: func.decode(given.c[name], "base64") if isinstance(kind, LargeBinary) else given.c[name]
        for name, kind in kinds.items()
    }


def _numbered(rows: Sequence[Values]) -> Sequence[Values]:
    return [{_POSITION: position, **row} for position, row in enumerate(rows)]


def _as_json(rows: Sequence[Values], times: Sequence[str]) -> str:
    for name in times:  # orjson would write a naive one as it is
        for row in rows:
            if row[name] is not None:
                check_aware(row[name])
    return orjson.dumps(rows, _encoded).decode()


@contextmanager
def _storable() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:  # they name types and times, and no other values
        raise PermanentError(f"a value cannot be stored: {error}") from error


def _encoded(value: object) -> str | int:
    match value:
        case bytes():
            return b64encode(value).decode()
        case timedelta():
            return microseconds(value)
        case _:
            raise TypeError(type(value).__name__)
