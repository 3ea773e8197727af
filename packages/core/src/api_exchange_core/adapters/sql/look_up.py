"""Reading the rows that many keys name, in one query."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import JSON, Column, ColumnElement, Connection, Row, Text, bindparam, func, select, true
from sqlalchemy import cast as sql_cast

_KEYS: Final = "keys_"


class LookUp:
    """A SELECT of one row a key, the keys being one JSON parameter, so that the statement is the same for any number.

    PostgreSQL is made to look each key up in the index (LATERAL with LIMIT). Left to itself it reads all rows of a
    tenant as long as nobody has analysed the table, which is just when the first load fills it.

    Args:
        columns: what is read.
        key: with *where*, names at most one row.
        where: what else the rows fulfil, in terms of parameters.
        lock: keep others from changing the rows until the transaction ends.
    """

    def __init__(
        self,
        columns: Sequence[Column[Any]],
        *,
        key: Column[str],
        where: Sequence[ColumnElement[bool]],
        lock: bool = False,
    ) -> None:
        keys = bindparam(_KEYS, type_=Text)
        one_of_them = key.in_(select(func.json_each(keys).table_valued("value").c.value))
        self._on_sqlite = select(*columns).where(*where, one_of_them)
        given = func.json_array_elements_text(sql_cast(keys, JSON)).table_valued("value")
        one = select(*columns).where(*where, key == given.c.value).limit(1)
        found = (one.with_for_update() if lock else one).lateral("found")
        self._on_postgresql = select(found).join_from(given, found, true())

    def run(
        self, connection: Connection, keys: Collection[str], **parameters: str
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """The rows, locked in the order of *keys*: the same order everywhere, so that no two wait for each other."""
        statement = self._on_sqlite if connection.dialect.name == "sqlite" else self._on_postgresql
        text = orjson.dumps(sorted(set(keys))).decode()
        return connection.execute(statement, {**parameters, _KEYS: text}).all()
