"""PostgreSQL, through psycopg 3."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from api_exchange_core.adapters.sql.scope import enter_scopes
from api_exchange_core.domain.errors import DeclarationError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

MakePassword = Callable[[URL], str]
"""Makes the password of a new connection to the server that a URL names: a token that ends soon, such as clouds give.

It is called in the thread that connects, and what it raises is what that thread gets: a `TransientError`, or
messages are dead-lettered for what somebody has yet to mend."""

PING_AFTER: Final = timedelta(seconds=30)
"""A connection that has rested so long is asked whether it is still there before it is used. The others are not: that
costs a round trip each time, and whoever meets a connection that has just died gets an error that says "again"."""

_LIBPQ: Final[dict[str, Any]] = {  # "Parameter Key Words", libpq
    "application_name": "api-exchange",
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,  # a host that has vanished is noticed after a minute
}
_POOLED: Final[dict[str, Any]] = {"prepare_threshold": None}
_DIRECT: Final[dict[str, Any]] = {
    "prepare_threshold": 5,  # uses, after which psycopg prepares a statement
    # A plan that is kept may be from when the table was empty, and then reads all of it for each row.
    "options": "-c plan_cache_mode=force_custom_plan -c statement_timeout=30s "
    "-c idle_in_transaction_session_timeout=60s",
}
_ENCRYPTED: Final = (
    "require",
    "verify-ca",
    "verify-full",
)  # "SSL Support", libpq: the modes that are always encrypted
_USED_AT: Final = "api_exchange_used_at"


def postgres_engine(
    url: URL, *, direct: bool, password: MakePassword | None = None, **options: Any
) -> Engine:
    """An engine for the server at *url*. What the URL's query says of a connection wins over what is set here.

    Raises:
        DeclarationError: psycopg is not installed, or *url* does not fit a password that is made.
    """
    settings = _LIBPQ | (_DIRECT if direct else _POOLED)
    if password is not None:
        settings |= _encrypted(url)
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED",  # what the statements are written for, whatever the server's default
            skip_autocommit_rollback=True,
            use_native_hstore=False,  # nothing to ask each new server about
            connect_args={name: value for name, value in settings.items() if name not in url.query},
            **options,
        )
    except ImportError as error:
        raise DeclarationError(
            'PostgreSQL needs a driver that is not installed: pip install "api-exchange-core[postgres]"'
        ) from error
    if password is not None:
        _make_passwords(engine, password)
    event.listen(engine, "checkin", _note_use)
    _ping_the_rested(engine)
    enter_scopes(engine)
    return engine


def _encrypted(url: URL) -> dict[str, Any]:
    """What it takes that nobody reads a password on its way, which whoever listens could use until it ends.

    Raises:
        DeclarationError: *url* asks for less, or is not one to make a password for.
    """
    if url.password is not None:
        raise DeclarationError(
            "the database URL has a password, and one is to be made: take it out of the URL"
        )
    if not url.username:
        raise DeclarationError(
            "the database URL names no user to make a password for: postgresql://USER@HOST/NAME"
        )
    mode = url.query.get("sslmode")
    if mode is not None and mode not in _ENCRYPTED:
        raise DeclarationError(
            f"the database URL says sslmode={mode!r}, which may send the password that is made in clear text: use "
            f"{' or '.join(_ENCRYPTED)}"
        )
    return {"sslmode": "verify-full" if "sslrootcert" in url.query else "require"}


def _make_passwords(engine: Engine, password: MakePassword) -> None:
    def provide(
        _: Dialect, __: ConnectionPoolEntry | None, ___: list[Any], parameters: dict[str, Any]
    ) -> None:
        parameters["password"] = password(engine.url)

    event.listen(engine, "do_connect", provide)


def _note_use(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[_USED_AT] = time.monotonic()


def _ping_the_rested(engine: Engine) -> None:
    def ping(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        used_at = entry.info.get(_USED_AT)
        if used_at is None or time.monotonic() - used_at < PING_AFTER.total_seconds():
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError(
                "the connection died while it rested"
            ) from error  # the pool makes a new one

    event.listen(engine, "checkout", ping)
