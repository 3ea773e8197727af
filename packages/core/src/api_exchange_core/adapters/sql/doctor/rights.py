"""What the login and the roles may do, compared with what this release needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, text

from api_exchange_core.adapters.sql.doctor.catalog import is_superuser
from api_exchange_core.adapters.sql.doctor.check import Check
from api_exchange_core.adapters.sql.migrate import VERSION_TABLE
from api_exchange_core.adapters.sql.roles import OPERATOR, RIGHTS, RUNTIME, Rights

_ALL: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_OF_COLUMNS: Final = ("SELECT", "INSERT", "UPDATE", "REFERENCES")

_HELD: Final = text("""
    SELECT relname, held FROM pg_class CROSS JOIN unnest(CAST(:all AS text[])) AS held
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)
      AND (has_table_privilege(:role, pg_class.oid, held)
           OR CASE WHEN held = ANY(:of_columns) THEN has_any_column_privilege(:role, pg_class.oid, held) END)
    ORDER BY relname, held
""")
_LOGIN: Final = text("SELECT session_user")
_SURROUNDINGS: Final = text("""
    SELECT has_schema_privilege(session_user, current_schema(), 'CREATE') AS makes_tables,
           has_database_privilege(session_user, current_database(), 'CREATE') AS makes_schemas,
           has_database_privilege('public', current_database(), 'CONNECT') AS anybody_connects
""")


def tables(connection: Connection) -> Check:
    """Whether login, runtime and operator have the rights on each table that they need, and no others."""
    login = str(connection.execute(_LOGIN).scalar_one())
    wrong = [
        *_compared(connection, login, "runtime"),
        *_compared(connection, RUNTIME, "runtime"),
        *_compared(connection, OPERATOR, "operator"),
    ]
    if is_superuser(connection):
        wrong = ["the login is a superuser, who has every right on every table"]
    return Check(
        "rights",
        "login and roles have the rights that this release needs on each table, and no others",
        wrong,
        "as the owner, REVOKE what is too much and GRANT what is missing",
    )


def surroundings(connection: Connection) -> Check:
    """Whether the login can make tables, and whether logins of other applications can come in."""
    found = connection.execute(_SURROUNDINGS).one()
    wrong = []
    if found.makes_tables:
        wrong.append("the login can make tables and functions in the schema")
    if found.makes_schemas:
        wrong.append("the login can make schemas in the database")
    if found.anybody_connects:
        wrong.append(
            "every login of the cluster can connect to this database, those of other applications that are members "
            f"of {RUNTIME!r}, too"
        )
    return Check(
        "surroundings",
        "the login makes nothing of its own here, and other applications' logins stay outside",
        wrong,
        "REVOKE CREATE ON SCHEMA … FROM PUBLIC; REVOKE ALL ON DATABASE … FROM PUBLIC; "
        "GRANT CONNECT ON DATABASE … TO the login",
    )


def _compared(connection: Connection, role: str, kind: str) -> Iterator[str]:
    wanted = {**RIGHTS, VERSION_TABLE: Rights.of("SELECT", "SELECT")}
    held: dict[str, set[str]] = {table: set() for table in wanted}
    parameters = {"role": role, "tables": list(wanted), "all": list(_ALL), "of_columns": list(_OF_COLUMNS)}
    for table, right in connection.execute(_HELD, parameters):
        held[table].add(right)
    for table, rights in wanted.items():
        needed = rights.runtime if kind == "runtime" else rights.operator
        if too_much := sorted(held[table] - needed):
            yield f"{role!r} has {', '.join(too_much)} on {table!r}, which is too much"
        if missing := sorted(needed - held[table]):
            yield f"{role!r} lacks {', '.join(missing)} on {table!r}"
