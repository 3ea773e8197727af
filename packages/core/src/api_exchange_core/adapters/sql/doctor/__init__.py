"""Whether a database keeps tenants apart, asked with the login that the functions connect as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.doctor import catalog, rights, trial
from api_exchange_core.adapters.sql.doctor.check import Check
from api_exchange_core.adapters.sql.engine import reading

__all__ = ["Check", "Examination", "examine"]

SQLITE_HAS_NONE = (
    "SQLite has neither roles nor row-level security: here the repositories alone keep tenants apart. "
    "Use PostgreSQL where one tenant's data must not depend on the framework's own code"
)


@dataclass(frozen=True, slots=True)
class Examination:
    """What `examine` found.

    Args:
        database: its kind, ``sqlite`` or ``postgresql``.
        checks: in the order in which they were made.
        note: what no check can say; empty if there is nothing.
    """

    database: str
    checks: Sequence[Check]
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.ok for check in self.checks)


def examine(engine: Engine) -> Examination:
    """Look at roles, policies and rights, and try to cross from one made-up tenant to another.

    What is tried is rolled back. If the schema is not this release's, the rest is not looked at.

    Args:
        engine: with the URL and the pool that the functions use.

    Raises:
        TransientError: the database could not be reached.
    """
    schema = _schema(engine)
    if engine.dialect.name == "sqlite":
        return Examination("sqlite", [schema], SQLITE_HAS_NONE)
    with reading(engine) as connection:
        checks = [schema, catalog.login(connection)]
        if not schema.ok:
            return Examination("postgresql", checks)
        checks += [
            catalog.ownership(connection),
            catalog.membership(connection),
            catalog.row_security(connection),
            catalog.policies(connection),
            rights.tables(connection),
            rights.surroundings(connection),
        ]
    return Examination("postgresql", [*checks, trial.crossing(engine), trial.leaving(engine)])


def _schema(engine: Engine) -> Check:
    found = migrate.current(engine)
    said = "there is no schema" if found is None else f"the schema is at {found!r}"
    return Check(
        "schema",
        "the schema is what this release works with",
        [] if found == migrate.HEAD else [f"{said}, this release works with {migrate.HEAD!r}"],
        "run `api-exchange db upgrade` as the owner of the tables, with the newest release that is deployed",
    )
