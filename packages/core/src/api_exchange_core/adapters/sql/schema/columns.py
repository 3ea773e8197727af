"""What the columns of all tables are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, String

from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, MAX_IDENTIFIER, MAX_QUEUE_NAME

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

IDENTIFIER = String(MAX_IDENTIFIER)
TENANT = String(64)  # domain.names.tenant_id
FUNCTION = String(MAX_QUEUE_NAME)
QUEUE = String(MAX_QUEUE_NAME + len(DEAD_LETTER_SUFFIX))
ENTITY = String(36)  # a UUID as text


def serial() -> Column[Any]:
    """The column ``id`` of a table whose rows are counted up."""
    # SQLite counts up only what is declared INTEGER PRIMARY KEY.
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)


def one_of(name: str, values: Iterable[str]) -> str:
    """The condition that the column *name* holds one of *values*."""
    return f"{name} IN ({', '.join(repr(str(value)) for value in values)})"
