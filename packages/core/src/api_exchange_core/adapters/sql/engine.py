"""Engines, and how a statement gets a connection from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from api_exchange_core.adapters.sql.errors import translated
from api_exchange_core.adapters.sql.postgres_engine import MakePassword, postgres_engine
from api_exchange_core.adapters.sql.sqlite_engine import READ_ONLY, sqlite_engine
from api_exchange_core.domain.errors import DeclarationError

_HOW: Final = "use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"

_OPTIONS: Final[dict[str, Any]] = {
    "hide_parameters": True,
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


def create_engine_for(url: str, *, direct: bool = False, password: MakePassword | None = None) -> Engine:
    """An engine for the database at *url*; connects when it is first used.

    Args:
        url: ``sqlite:///file`` or ``postgresql://user:password@host/name``.
        direct: PostgreSQL is reached without a pooler in between that hands its connections to others after each
            transaction (PgBouncer). Statements are then prepared on the server, and those that take longer than
            30 seconds are ended by it; such a pooler mixes the first up and refuses the second.
        password: makes one for each new connection to PostgreSQL, in place of one in the URL. The connection is then
            encrypted, and the server known by its certificate if the URL says ``sslrootcert``.

    Raises:
        DeclarationError: the URL is none, names another kind of database, has a password or no user where one is to
            be made, or would send that in clear text; or the driver is not installed.
    """
    parsed = _parsed(url)
    match parsed.get_backend_name():
        case "sqlite" if password is None:
            return sqlite_engine(parsed, **_OPTIONS)
        case "postgresql":
            return postgres_engine(parsed, direct=direct, password=password, **_OPTIONS)
        case "sqlite":
            raise DeclarationError(
                "a file of SQLite takes no password, so none can be made for it: use PostgreSQL"
            )
        case other:
            raise DeclarationError(f"{other!r} is no kind of database that is known here: {_HOW}")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction, committed when the block ends without an error."""
    with translated(), engine.begin() as connection:
        yield connection


@contextmanager
def writing_once(engine: Engine) -> Iterator[Connection]:
    """A connection for one statement that is a transaction by itself, which saves PostgreSQL two round trips."""
    if engine.dialect.name == "sqlite":
        with writing(engine) as connection:
            yield connection
    else:
        with translated(), engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for statements that only read, each what is committed by then, and wait for no writer."""
    option = {READ_ONLY: True} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    with translated(), engine.connect() as connection:
        yield connection.execution_options(**option)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Their messages repeat the URL or parts of it, and so perhaps the password.
        raise _unreadable() from None
    if "@" in (parsed.host or ""):  # what stands before it belongs to the password
        raise _unreadable()
    return parsed


def _unreadable() -> DeclarationError:
    return DeclarationError(
        f"the database URL cannot be read: {_HOW}, with special characters in the password percent-encoded"
    )
