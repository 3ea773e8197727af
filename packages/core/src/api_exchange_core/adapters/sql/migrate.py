"""Bringing a database's schema up to this release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from api_exchange_core.adapters.sql.engine import reading, writing
from api_exchange_core.adapters.sql.errors import is_missing_table
from api_exchange_core.domain.errors import DeclarationError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0014"
"""The revision that this release works with. A start compares it with one SELECT, without importing Alembic."""

VERSION_TABLE: Final = "api_exchange_version"
"""Where the revision stands; a name of our own, since the application may use Alembic in the same database."""

_MIGRATING: Final = 0x6170_695F_6D67  # of PostgreSQL's advisory locks; a number of our own

_MAY_MIGRATE: Final = text("""
    SELECT session_user AS login,
           coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS makes_tables,
           coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class
                     WHERE oid = to_regclass(:version_table)), true) AS owns_tables
""")


def is_current(engine: Engine) -> bool:
    """Whether the schema is what this release works with.

    Raises:
        TransientError: the database could not be reached.
    """
    return current(engine) == HEAD


def current(engine: Engine) -> str | None:
    """The revision of the schema; None if there is no schema yet.

    Raises:
        TransientError: the database could not be reached.
    """
    with reading(engine) as connection:
        try:
            return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608 - our own constant
        except DBAPIError as error:
            if is_missing_table(error):
                return None
            raise


def upgrade(engine: Engine) -> None:
    """Create or migrate the schema, all of it or nothing. Where it is current, this changes nothing.

    Any number of processes may start and upgrade at once: one does it, the others wait and find it done.

    Raises:
        DeclarationError: Alembic is not installed, the database is of a newer release, or this login may not
            migrate it.
        TransientError: the database could not be reached.
    """
    try:
        from alembic import command
        from alembic.util import CommandError
    except ImportError as error:
        raise DeclarationError('migrating needs Alembic: pip install "api-exchange-core[local]"') from error

    with locked(engine) as connection:
        _check_may_migrate(connection)
        try:
            command.upgrade(_config(connection), "head")
        except CommandError as error:
            raise DeclarationError(
                f"the database cannot be migrated to revision {HEAD}: {error}. If a newer release has migrated it, "
                "install that release here, too"
            ) from error


@contextmanager
def locked(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other migration runs beside; committed when the block ends without an error."""
    with writing(engine) as connection:  # on SQLite there is only one writer
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
        yield connection


def _check_may_migrate(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    allowed = connection.execute(_MAY_MIGRATE, {"version_table": VERSION_TABLE}).one()
    if not (allowed.makes_tables and allowed.owns_tables):
        raise DeclarationError(
            f"the database is not at revision {HEAD!r}, which this release works with, and the login "
            f"{allowed.login!r} may not migrate it: run `api-exchange db upgrade` as the owner of its tables"
        )


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "api_exchange_core.adapters.sql:migrations")
    return config
