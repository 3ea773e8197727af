"""Who may do what in PostgreSQL: three kinds of role, and their rights on each table.

The *owner* is whoever migrates; the tables are its own. `RUNTIME` is what a tenant's transactions run as, `OPERATOR`
what work across tenants runs as. Both are group roles that nobody logs in as. A login of the application is a member
of `RUNTIME`, and reaches `OPERATOR` through it by an explicit SET ROLE alone: `RUNTIME` does not inherit, and so passes
nothing on. That is how roles are made on every supported PostgreSQL; ``WITH INHERIT FALSE`` came with 16.

Roles belong to the whole cluster, so all databases of a cluster share these two. What keeps a login out of another
application's database is CONNECT, which `set_up` takes from PUBLIC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from api_exchange_core.adapters.sql.errors import is_denied
from api_exchange_core.domain.errors import DeclarationError

RUNTIME: Final = "api_exchange_runtime"
OPERATOR: Final = "api_exchange_operator"

Right = str
"""A privilege on a table, as PostgreSQL calls it."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What the two roles may do with one table.

    Args:
        runtime: within a tenant's transaction, and so with that tenant's rows.
        operator: with the rows of all tenants.
    """

    runtime: frozenset[Right]
    operator: frozenset[Right]

    @classmethod
    def of(cls, runtime: str, operator: str) -> Rights:
        """The rights that two lists name, separated by blanks."""
        return cls(frozenset(runtime.split()), frozenset(operator.split()))


RIGHTS: Final[Mapping[str, Rights]] = {
    "tenants": Rights.of("", "SELECT INSERT UPDATE"),
    "chore_leases": Rights.of("", "SELECT INSERT UPDATE"),
    "dead_letter_jobs": Rights.of("", "SELECT INSERT UPDATE"),
    "erasures": Rights.of("", "SELECT INSERT UPDATE"),
    "api_keys": Rights.of("", "SELECT INSERT DELETE"),
    "entities": Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"),
    "entity_versions": Rights.of("SELECT INSERT", "SELECT DELETE"),
    "journal": Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"),
    "outbox": Rights.of("SELECT INSERT", "SELECT UPDATE DELETE"),
    "queue": Rights.of("SELECT INSERT DELETE", "SELECT INSERT UPDATE DELETE"),
    "errors": Rights.of("SELECT INSERT", "SELECT DELETE"),
    "checkpoints": Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"),
    "error_groups": Rights.of("SELECT INSERT UPDATE", "SELECT UPDATE DELETE"),
    "dead_letter_job_items": Rights.of("", "SELECT INSERT UPDATE DELETE"),
    "credentials": Rights.of("SELECT", "SELECT INSERT UPDATE DELETE"),
    "requests": Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"),
    "rate_budgets": Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"),
    "api_tokens": Rights.of("SELECT INSERT UPDATE", "SELECT UPDATE DELETE"),
}
"""What this release needs, and all that it needs. A table that is not here can be reached by its owner alone."""

# Another database of the cluster may be migrated at the same moment: its advisory lock is another one.
_CREATE_ROLES: Final = f"""DO $roles$
BEGIN
  IF to_regrole('{OPERATOR}') IS NULL THEN
    BEGIN
      CREATE ROLE {OPERATOR} NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END IF;
  IF to_regrole('{RUNTIME}') IS NULL THEN
    BEGIN
      CREATE ROLE {RUNTIME} NOLOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END IF;
  IF NOT pg_has_role('{RUNTIME}', '{OPERATOR}', 'MEMBER') THEN
    BEGIN
      GRANT {OPERATOR} TO {RUNTIME};
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
  END IF;
END
$roles$"""

# With one login for everything, whoever migrates is who runs the functions, too.
_JOIN: Final = f"""DO $join$
BEGIN
  IF current_setting('is_superuser') = 'off' THEN
    GRANT {RUNTIME} TO CURRENT_USER;
  END IF;
EXCEPTION WHEN insufficient_privilege THEN NULL;  -- an administrator made the roles, and decides who is in them
END
$join$"""


def create_roles(connection: Connection) -> None:
    """Make the group roles where they are missing, and put the current role into `RUNTIME` if it may do that.

    Raises:
        DeclarationError: they are missing, and this login may not make them.
    """
    try:
        connection.exec_driver_sql(_CREATE_ROLES)
    except DBAPIError as error:
        if not is_denied(error):
            raise
        raise DeclarationError(
            f"the roles {RUNTIME!r} and {OPERATOR!r} are missing in this PostgreSQL cluster, and this login may not "
            "make them: have an administrator run, once, the SQL that `api-exchange db roles` prints"
        ) from error
    connection.exec_driver_sql(_JOIN)


def set_up(*, database: str, owner: str, login: str, logins_exist: bool = False) -> Sequence[str]:
    """What an administrator runs to make the roles, and a database with an owner and a runtime login.

    Each statement is a transaction by itself, as CREATE DATABASE must be. The first may be run again and again.

    Args:
        database: its name.
        owner: the login that migrates it.
        login: the one that functions connect as.
        logins_exist: a cloud has made both already, from its own identities.

    Raises:
        DeclarationError: a name is none.
    """
    owner_, login_, database_ = (_quoted(name) for name in (owner, login, database))
    logins = () if logins_exist else (f"CREATE ROLE {owner_} LOGIN", f"CREATE ROLE {login_} LOGIN")
    return (
        _CREATE_ROLES,
        *logins,
        f"GRANT {RUNTIME} TO {login_}",
        f"CREATE DATABASE {database_} OWNER {owner_}",
        f"REVOKE ALL ON DATABASE {database_} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {database_} TO {login_}",
    )


def _quoted(name: str) -> str:
    if not name or "\0" in name or "\n" in name:
        raise DeclarationError(f"{name!r} is no name for a role or a database")
    return '"' + name.replace('"', '""') + '"'
