"""Where a row lies: the fastest way back to rows that a statement has just found."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    bindparam,
    func,
    literal_column,
    select,
)

LIMIT: Final = bindparam("limit_", type_=Integer)


def address(connection: Connection) -> ColumnElement[Any]:
    """The column that holds it: ``ctid`` in PostgreSQL, ``rowid`` in SQLite."""
    return literal_column("rowid" if connection.dialect.name == "sqlite" else "ctid")


def is_one_of(connection: Connection, table: Table, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a row of *table* is one of the first `LIMIT` rows that fulfil *where*.

    PostgreSQL is handed the addresses as an array, which it looks up one by one; of an IN with a subquery it makes a
    join that may read the whole table. A row that changes in between moves, and is left to the next statement.
    """
    found: Select[Any] = select(address(connection)).select_from(table).where(*where).limit(LIMIT)
    if connection.dialect.name == "sqlite":
        return address(connection).in_(found)
    addresses = func.array(found.scalar_subquery())
    return address(connection) == func.any(addresses)
