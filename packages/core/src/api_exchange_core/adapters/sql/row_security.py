"""Row-level security in PostgreSQL: a tenant's transaction sees and writes that tenant's rows, whatever it asks for.

The policies compare ``tenant_id`` with a setting that lives as long as the transaction. Where it is not set nothing
equals it: there are no rows then, and nothing can be written. FORCE binds the owner of the tables as well. Superusers
and roles with BYPASSRLS are bound by nothing, which `doctor` looks for.

What `protect` makes stays as it is, since migrations call it. Other policies are other functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from api_exchange_core.adapters.sql.roles import OPERATOR, RUNTIME, Rights
from api_exchange_core.adapters.sql.schema import metadata

SETTING: Final = "api_exchange.tenant_id"
"""The tenant of a transaction. PostgreSQL keeps settings whose names have a dot for anybody who wants them."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as it must stand in ``pg_policies``; its expression is both USING and WITH CHECK.

    Args:
        role: to whom it applies.
        expression: as PostgreSQL writes it out.
    """

    role: str
    expression: str


POLICIES: Final[Mapping[str, Policy]] = {
    "own_tenant": Policy("public", f"((tenant_id)::text = current_setting('{SETTING}'::text, true))"),
    "across_tenants": Policy(OPERATOR, "true"),
}
"""By name, the policies of each table with a ``tenant_id``."""


def tables_of_tenants() -> Sequence[str]:
    """The tables of this release whose rows belong to a tenant each."""
    return sorted(table.name for table in metadata.tables.values() if "tenant_id" in table.columns)


def protect(connection: Connection, table: str, rights: Rights) -> None:
    """Keep the tenants of *table* apart. For migrations; on SQLite, which has nothing like it, this does nothing.

    A later migration that changes rows of the table sees none of them, unless it goes about it as `unforced`.
    """
    if connection.dialect.name != "postgresql":
        return
    for name, policy in POLICIES.items():
        connection.exec_driver_sql(
            f"CREATE POLICY {name} ON {table} TO {policy.role} "
            f"USING ({policy.expression}) WITH CHECK ({policy.expression})"
        )
    connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    connection.exec_driver_sql(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    grant(connection, table, rights)


def unprotect(connection: Connection, table: str) -> None:
    """Undo `protect`."""
    if connection.dialect.name != "postgresql":
        return
    connection.exec_driver_sql(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for name in POLICIES:
        connection.exec_driver_sql(f"DROP POLICY {name} ON {table}")
    revoke(connection, table)


def grant(connection: Connection, table: str, rights: Rights) -> None:
    """Give the two roles their rights on *table*; for a table that belongs to no tenant, this alone."""
    if connection.dialect.name != "postgresql":
        return
    for role, allowed in ((RUNTIME, rights.runtime), (OPERATOR, rights.operator)):
        if allowed:
            connection.exec_driver_sql(f"GRANT {', '.join(sorted(allowed))} ON {table} TO {role}")


def grant_schema(connection: Connection) -> None:
    """Let the two roles look into the schema that the tables are in."""
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {RUNTIME}, {OPERATOR}")


def revoke(connection: Connection, table: str) -> None:
    """Undo `grant`."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"REVOKE ALL ON {table} FROM {RUNTIME}, {OPERATOR}")


@contextmanager
def unforced(connection: Connection, table: str) -> Iterator[None]:
    """Within the block the owner of *table* sees all its rows; for migrations that change them.

    Others wait for the migration's transaction: they never see the table unguarded.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.exec_driver_sql(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    yield
    connection.exec_driver_sql(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
