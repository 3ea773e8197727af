"""What PostgreSQL's catalog says of the login, the roles and the policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from api_exchange_core.adapters.sql.doctor.check import Check
from api_exchange_core.adapters.sql.migrate import VERSION_TABLE
from api_exchange_core.adapters.sql.roles import OPERATOR, RIGHTS, RUNTIME
from api_exchange_core.adapters.sql.row_security import POLICIES, tables_of_tenants

# Each lets its members read or write past the policies ("Predefined Roles"), or do as they like on the server.
_TOO_POWERFUL: Final = (
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
)

_BECOMES: Final = text("""
    SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication, rolname = ANY(:powerful) AS powerful
    FROM pg_roles WHERE rolname = session_user OR pg_has_role(session_user, oid, 'MEMBER') ORDER BY rolname
""")
_IS_SUPERUSER: Final = text("SELECT rolsuper FROM pg_roles WHERE rolname = session_user")
_OWNS: Final = text("""
    SELECT kind, name FROM (
        SELECT 'table' AS kind, relname AS name, relowner AS owner FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)
        UNION ALL SELECT 'schema', nspname, nspowner FROM pg_namespace WHERE nspname = current_schema()
        UNION ALL SELECT 'database', datname, datdba FROM pg_database WHERE datname = current_database()
    ) AS owned WHERE pg_has_role(session_user, owner, 'MEMBER') ORDER BY kind, name
""")
_ROLES: Final = text("""
    SELECT rolname, rolsuper OR rolbypassrls AS unbound, rolcanlogin FROM pg_roles WHERE rolname = ANY(:roles)
""")
_REACHES: Final = text("""
    SELECT pg_has_role(session_user, :runtime, 'USAGE') AS is_runtime,
           pg_has_role(session_user, :operator, 'MEMBER') AS may_operate,
           pg_has_role(session_user, :operator, 'USAGE') AS operates
""")
_FORCED: Final = text("""
    SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)
""")
_POLICIES: Final = text("""
    SELECT tablename, policyname, permissive, array_to_string(roles, ', ') AS roles, cmd, qual, with_check
    FROM pg_policies WHERE schemaname = current_schema() AND tablename = ANY(:tables) ORDER BY policyname
""")


def is_superuser(connection: Connection) -> bool:
    """Whether whoever logged in is one."""
    return bool(connection.execute(_IS_SUPERUSER).scalar_one())


def login(connection: Connection) -> Check:
    """Whether the policies bind the login, and each role that it can become."""
    rows = connection.execute(_BECOMES, {"powerful": list(_TOO_POWERFUL)}).all()
    if is_superuser(connection):  # who can become everybody: that need not be told one by one
        rows = [row for row in rows if row.rolsuper][:1]
    return Check(
        "login",
        "the login is bound by the policies, and so is every role that it can become",
        [
            f"the login is or can become {row.rolname!r}, which {what}"
            for row in rows
            for what in _powers(row)
        ],
        f"connect as a login of its own that is a member of {RUNTIME!r} alone: `api-exchange db roles`",
    )


def _powers(row: Row[Any]) -> Iterator[str]:
    if row.rolsuper:
        yield "is a superuser"
        return
    if row.rolbypassrls:
        yield "has BYPASSRLS"
    if row.rolcreaterole:
        yield "has CREATEROLE, and so can become others"
    if row.rolreplication:
        yield "has REPLICATION, and so reads every row"
    if row.powerful:
        yield "reaches past the policies"


def ownership(connection: Connection) -> Check:
    """Whether the login is the owner, who could take the policies away."""
    rows = (
        []
        if is_superuser(connection)
        else connection.execute(_OWNS, {"tables": [*RIGHTS, VERSION_TABLE]}).all()
    )
    owned = ", ".join(f"{row.kind} {row.name!r}" for row in rows)
    return Check(
        "ownership",
        "the login owns neither tables nor schema nor database, nor can it become their owner",
        [f"the login is or can become the owner of {owned}"] if rows else [],
        "migrate as one login and run the functions as another: `api-exchange db roles`",
    )


def membership(connection: Connection) -> Check:
    """Whether the login has the rights of a runtime, and becomes an operator by an explicit step only."""
    roles = {row.rolname: row for row in connection.execute(_ROLES, {"roles": [RUNTIME, OPERATOR]})}
    wrong = [f"there is no role {name!r}" for name in (RUNTIME, OPERATOR) if name not in roles]
    if not wrong:
        wrong = list(_wrong_roles(connection, roles))
    return Check(
        "membership",
        f"the login is a member of {RUNTIME!r}, and reaches {OPERATOR!r} by SET ROLE alone",
        wrong,
        f"GRANT {RUNTIME} TO the login, {OPERATOR} TO {RUNTIME}, ALTER ROLE {RUNTIME} NOINHERIT NOLOGIN, "
        f"ALTER ROLE {OPERATOR} NOLOGIN, and grant {OPERATOR} to no login directly",
    )


def _wrong_roles(connection: Connection, roles: dict[str, Row[Any]]) -> Iterator[str]:
    for name, role in roles.items():
        if role.unbound:
            yield f"role {name!r} is a superuser or has BYPASSRLS"
        if role.rolcanlogin:
            yield f"role {name!r} can log in"
    if is_superuser(connection):  # a member of everything
        yield "the login is a superuser, and so inherits from both"
        return
    reaches = connection.execute(_REACHES, {"runtime": RUNTIME, "operator": OPERATOR}).one()
    if not reaches.is_runtime:
        yield f"the login is no member of {RUNTIME!r}, or does not inherit from it"
    if not reaches.may_operate:
        yield f"the login cannot become {OPERATOR!r}: it can neither receive nor relay"
    if reaches.operates:
        yield f"the login inherits from {OPERATOR!r}, and so sees all tenants' rows without asking"


def row_security(connection: Connection) -> Check:
    """Whether it is on, for owners, too."""
    found = {row.relname: row for row in connection.execute(_FORCED, {"tables": tables_of_tenants()})}
    wrong = []
    for table in tables_of_tenants():
        if table not in found:
            wrong.append(f"there is no table {table!r}")
        elif not found[table].relrowsecurity:
            wrong.append(f"row-level security is off for {table!r}")
        elif not found[table].relforcerowsecurity:
            wrong.append(f"row-level security is not forced for {table!r}")
    return Check(
        "row security",
        "row-level security is on and forced for each table with a tenant_id",
        wrong,
        "as the owner: ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    )


def policies(connection: Connection) -> Check:
    """Whether they are those that the migrations make, and no others beside them."""
    found = {
        (row.tablename, row.policyname): (row.permissive, row.roles, row.cmd, row.qual, row.with_check)
        for row in connection.execute(_POLICIES, {"tables": tables_of_tenants()})
    }
    wanted = {
        (table, name): ("PERMISSIVE", policy.role, "ALL", policy.expression, policy.expression)
        for table in tables_of_tenants()
        for name, policy in POLICIES.items()
    }
    missing = [
        f"policy {name!r} of table {table!r} is missing" for table, name in sorted(wanted.keys() - found)
    ]
    strange = [
        f"table {table!r} has a policy {name!r} of its own" for table, name in sorted(found.keys() - wanted)
    ]
    altered = [
        f"policy {name!r} of table {table!r} is not as it was made"
        for table, name in sorted(wanted.keys() & found)
        if wanted[table, name] != found[table, name]
    ]
    return Check(
        "policies",
        "each table with a tenant_id has the policies of the migrations, and no others",
        missing + altered + strange,
        "as the owner, DROP POLICY what is strange or altered, and CREATE POLICY anew as "
        "`api_exchange_core.adapters.sql.row_security.POLICIES` has it",
    )
