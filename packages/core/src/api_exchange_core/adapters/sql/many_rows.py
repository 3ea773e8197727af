"""One statement for many rows, whichever way the database takes them fastest.

PostgreSQL gets all rows as one JSON parameter and joins with it: one round trip, one plan, and a third of the time of
as many statements. SQLite, which has no round trips, gets the same statement with a bound value for each column and
runs it row by row, which is twice as fast there as reading JSON. A statement is written once, in terms of a row's
columns, and does not know which of the two it is.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    CursorResult,
    Delete,
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
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.types import TypeEngine

from api_exchange_core.adapters.sql.time_types import check_aware, microseconds
from api_exchange_core.domain.errors import PermanentError

Row = Mapping[str, ColumnElement[Any]]
"""The columns of one of the rows, for use in a statement."""

Values = Mapping[str, Any]
Insert = postgresql.Insert | sqlite.Insert

_PARAMETER = "rows_"
_POSITION = "position_"
_BOUND = "row_"


class ForEachRow:
    """An UPDATE or DELETE that is carried out for each of many rows.

    Args:
        columns: what a row holds, with its types.
        statement: the statement for one row.
    """

    def __init__(
        self, columns: Mapping[str, TypeEngine[Any]], statement: Callable[[Row], Update | Delete]
    ) -> None:
        self._joined = statement(_from_json(columns))
        # SQLAlchemy keeps the plain names of columns for the values of an UPDATE.
        self._bound = statement(
            {name: bindparam(_BOUND + name, type_=kind) for name, kind in columns.items()}
        )

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Carry it out for *rows*; how many rows of the database it found."""
        if connection.dialect.name == "sqlite":
            bound = [{_BOUND + name: value for name, value in row.items()} for row in rows]
            return connection.execute(self._bound, bound).rowcount
        return connection.execute(self._joined, {_PARAMETER: _as_json(rows)}).rowcount


class InsertRows:
    """An INSERT of many rows, in their order.

    Args:
        table: takes the rows.
        finish: adds what else the statement needs, such as ON CONFLICT or RETURNING.
        without: columns that the rows do not fill.
    """

    def __init__(
        self,
        table: Table,
        finish: Callable[[Insert], Insert | ReturningInsert[Any]] = lambda insert: insert,
        *,
        without: Collection[str] = (),
    ) -> None:
        columns = [column.name for column in table.columns if column.name not in without]
        kinds = {name: table.c[name].type for name in columns} | {_POSITION: Integer()}
        given = _from_json(kinds)
        ordered = select(*(given[name] for name in columns)).order_by(given[_POSITION])
        joined = finish(postgresql.insert(table).from_select(columns, ordered))
        bound = finish(sqlite.insert(table))
        # Unasked, SQLAlchemy keeps the count of UPDATE and DELETE only.
        self._joined = joined.execution_options(preserve_rowcount=True)
        self._bound = bound.execution_options(preserve_rowcount=True)

    def run(self, connection: Connection, rows: Sequence[Values]) -> CursorResult[Any]:
        """Insert *rows*."""
        if connection.dialect.name == "sqlite":
            return connection.execute(self._bound, rows)
        numbered = [{_POSITION: position, **row} for position, row in enumerate(rows)]
        return connection.execute(self._joined, {_PARAMETER: _as_json(numbered)})


def _from_json(columns: Mapping[str, TypeEngine[Any]]) -> Row:
    """The columns of the rows that are in the JSON parameter."""
    rows = func.json_to_recordset(sql_cast(bindparam(_PARAMETER, type_=Text), JSON))
    table = rows.table_valued(
        *(column(name, Text() if isinstance(kind, LargeBinary) else kind) for name, kind in columns.items())
    ).render_derived(name="given", with_types=True)
    return {
        name: func.decode(table.c[name], "base64") if isinstance(kind, LargeBinary) else table.c[name]
        for name, kind in columns.items()
    }


def _as_json(rows: Sequence[Values]) -> str:
    try:
        return orjson.dumps(rows, _encoded, orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError as error:  # its message names types and positions, no values
        raise PermanentError(f"a value cannot be stored: {error}") from error


def _encoded(value: object) -> str | int:
    match value:
        case bytes():
            return b64encode(value).decode()
        case datetime():
            check_aware(value)
            return value.isoformat()
        case timedelta():
            return microseconds(value)
        case _:
            raise TypeError(type(value).__name__)
