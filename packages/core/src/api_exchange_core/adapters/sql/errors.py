"""SQLAlchemy's and the drivers' errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, StatementError

from api_exchange_core.domain.errors import ExchangeError, LostRaceError, PermanentError, TransientError

# PostgreSQL, appendix "PostgreSQL Error Codes".
_RACES: Final = frozenset({"40001", "40P01", "23505"})  # serialization failure, deadlock, unique violation
_PERMANENT_CLASSES: Final = ("22", "23")  # data exception, integrity constraint violation
_NO_TABLE: Final = "42P01"
_DENIED: Final = "42501"  # insufficient privilege; a row that a policy does not let in, too
_INVALID_PARAMETER: Final = "22023"  # of SET ROLE: there is no such role

# SQLite, "Result and Error Codes".
_SQLITE_RACES: Final = frozenset(
    {
        "SQLITE_BUSY_SNAPSHOT",
        "SQLITE_CONSTRAINT_PRIMARYKEY",
        "SQLITE_CONSTRAINT_UNIQUE",
        "SQLITE_CONSTRAINT_ROWID",
    }
)
_SQLITE_PERMANENT: Final = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH")


@contextmanager
def translated() -> Iterator[None]:
    """Within the block, what the database says is raised in the domain's words.

    The messages name error codes and constraints, never values: a driver's own message may quote a row.

    Raises:
        LostRaceError: another transaction was first (deadlock, serialization failure, unique key).
        PermanentError: the database refuses a value for what it is.
        TransientError: anything else, since a wasted attempt is cheaper than a lost message.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise _translation(error) from error


def is_missing_table(error: DBAPIError) -> bool:
    """Whether a statement named a table that is not there."""
    return getattr(error.orig, "sqlstate", None) == _NO_TABLE or "no such table" in str(error.orig)


def is_denied(error: DBAPIError) -> bool:
    """Whether the database's role may not do what it was asked for."""
    return getattr(error.orig, "sqlstate", None) == _DENIED


def _translation(error: SQLAlchemyError) -> ExchangeError:
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return PermanentError(f"a value cannot be stored: {error.orig}")
    if not isinstance(error, DBAPIError):
        return TransientError(f"the database could not be asked: {type(error).__name__}: {error}")
    name = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return _sqlite_translation(name, error)
    return _postgres_translation(getattr(error.orig, "sqlstate", None), error)


def _sqlite_translation(name: str, error: DBAPIError) -> ExchangeError:
    if is_missing_table(error):
        return _not_migrated(name)
    said = f"SQLite: {error.orig} ({name})"  # its messages name tables and columns, and quote no values
    if name in _SQLITE_RACES:
        return LostRaceError(f"another writer was first; {said}")
    return PermanentError(said) if name.startswith(_SQLITE_PERMANENT) else TransientError(said)


def _postgres_translation(state: str | None, error: DBAPIError) -> ExchangeError:
    kind = type(error.orig).__name__
    if (
        state is None
    ):  # no server said this, but psycopg or libpq, whose texts quote no values and have many lines
        said = f"psycopg: {kind}: {' '.join(str(error.orig).split())}"
        if isinstance(error, DataError):
            return PermanentError(said)
        return TransientError(
            f"the database cannot be reached; {said}" if error.connection_invalidated else said
        )
    if is_missing_table(error):
        return _not_migrated(state)
    if state == _INVALID_PARAMETER and 'role "api_exchange_' in str(error.orig):
        return _not_migrated(state)
    if is_denied(error):
        return TransientError(
            f"PostgreSQL: {kind} ({state}): this login lacks a right, or a row was to be written for another tenant; "
            "`api-exchange db doctor` says which rights are wrong"
        )
    said = f"PostgreSQL: {kind} ({state}){_constraint(error)}"
    if state in _RACES:
        return LostRaceError(f"another writer was first; {said}")
    return PermanentError(said) if state.startswith(_PERMANENT_CLASSES) else TransientError(said)


def _not_migrated(code: str) -> TransientError:
    return TransientError(
        f"a table or a role is missing ({code}): the database has not been migrated, or not to this release; "
        "`api_exchange_core.adapters.sql.migrate.upgrade(engine)` does it"
    )


def _constraint(error: DBAPIError) -> str:
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return "" if name is None else f", constraint {name!r}"
