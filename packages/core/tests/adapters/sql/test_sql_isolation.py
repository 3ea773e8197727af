"""That no statement of one tenant reaches another's rows in PostgreSQL, whoever runs it and however it is put."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy import (
    Integer,
    LargeBinary,
    String,
    Table,
    make_url,
)
from sqlalchemy.types import JSON, Boolean, Text, TypeEngine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.roles import OPERATOR, RUNTIME
from api_exchange_core.adapters.sql.row_security import SETTING, tables_of_tenants
from api_exchange_core.adapters.sql.schema import metadata
from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime

OWN, OTHER = "customer-b", "customer-a"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS: Final = 3

JOB = 1
"""The one job whose letters the items are."""

# Values for columns that a check constrains; a new check says in which of these its column is.
CHECKED: Mapping[tuple[str, str], str | int] = {
    ("journal", "state"): "completed",
    ("outbox", "kind"): "queue",
    ("error_groups", "state"): "open",
    ("dead_letter_job_items", "state"): "waiting",
}


def sample(table: Table, tenant_id: str, number: int) -> dict[str, Any]:
    """A row that the table takes, with the tenant's name wherever a text may stand."""
    row = {column.name: _value(column.type, f"{tenant_id}-{number}", number) for column in table.columns}
    row |= {name: CHECKED[table.name, name] for name in row if (table.name, name) in CHECKED}
    if table.name == "dead_letter_job_items":
        row |= {"job_id": JOB, "place": number + 1_000 * (tenant_id == OTHER)}
    if table.name == "api_keys":
        row["key_hash"] = f"{tenant_id}-{number}"
    return row | {"tenant_id": tenant_id} | ({"id": None} if "id" in row and _counts(table) else {})


def _counts(table: Table) -> bool:
    return isinstance(table.c.id.type, Integer)


def _value(kind: TypeEngine[Any], name: str, number: int) -> Any:
    match kind:
        case UtcDateTime():
            return NOW
        case Duration() | Integer():
            return number
        case String() | Text():
            return name
        case LargeBinary():
            return name.encode()
        case JSON():
            return "{}"
        case Boolean():
            return True
        case _:
            raise AssertionError(f"no sample for {kind!r}")


def insertion(table: str, row: Mapping[str, Any], ending: str = "") -> sql.Composed:
    given = {name: value for name, value in row.items() if not (name == "id" and value is None)}
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) " + ending).format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(name) for name in given),
        sql.SQL(", ").join(sql.Literal(value) for value in given.values()),
    )


# Who tries: each is a name for what runs before the statement, on a connection of the login named first.
WIDE = "wide"  # has every right on every table, so that the policies alone stand in its way
WHO: Mapping[str, tuple[str, str]] = {
    "runtime": (
        "runtime",
        f"SELECT set_config('role', '{RUNTIME}', true), set_config('{SETTING}', '{OWN}', true)",
    ),
    "login": ("runtime", f"SELECT set_config('{SETTING}', '{OWN}', true)"),
    "nobody": ("runtime", "SELECT 1"),
    "wide": (WIDE, f"SELECT set_config('{SETTING}', '{OWN}', true)"),
    "wide nobody": (WIDE, "SELECT 1"),
    "owner": ("owner", f"SELECT set_config('{SETTING}', '{OWN}', true)"),
    "owner nobody": ("owner", "SELECT 1"),
}


@dataclass(frozen=True)
class World:
    """A database with rows of two tenants in each table, and somebody logged in as each login."""

    admin: psycopg.Connection[Any]
    logins: Mapping[str, psycopg.Connection[Any]]

    def rows(self, table: str, tenant_id: str) -> list[Any]:
        """All rows of a tenant, as they are committed."""
        found = self.admin.execute(
            sql.SQL("SELECT * FROM {} WHERE tenant_id = {} ORDER BY 1, 2, 3").format(
                sql.Identifier(table), sql.Literal(tenant_id)
            )
        )
        return found.fetchall()


@pytest.fixture
def world(production_urls: Mapping[str, str]) -> Iterator[World]:
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    wide = f"wide_{make_url(production_urls['owner']).username}"
    with psycopg.connect(plain(production_urls["admin"]), autocommit=True) as admin:
        admin.execute(
            "INSERT INTO dead_letter_jobs (action, ordered_by, ordered_at, filter) VALUES ('replay', 'me', now(), '{}')"
        )
        for tenant_id in (OWN, OTHER):
            admin.execute(
                "INSERT INTO tenants (id, folded_id, enabled, created_at, config) VALUES (%s, %s, true, now(), '{}')",
                [tenant_id, tenant_id],
            )
            for name in tables_of_tenants():
                for number in range(ROWS):
                    admin.execute(insertion(name, sample(metadata.tables[name], tenant_id, number)))
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(wide)))
        for statement in (
            "GRANT CONNECT ON DATABASE {1} TO {0}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {0}",
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {0}",
        ):
            admin.execute(
                sql.SQL(statement).format(
                    sql.Identifier(wide), sql.Identifier(str(make_url(production_urls["admin"]).database))
                )
            )
        urls = {
            "runtime": production_urls["runtime"],
            "owner": production_urls["owner"],
            WIDE: production_urls["admin"].replace("//postgres@", f"//{wide}@"),
        }
        logins = {name: psycopg.connect(plain(url)) for name, url in urls.items()}
        yield World(admin, logins)
        for connection in logins.values():
            connection.close()
        admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(wide)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(wide)))


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


# What is tried. {t} and {u} are tables, {c} a column of the first, {w} a condition, {o} the other tenant.
READS = (
    "SELECT * FROM {t} WHERE {w}",
    "SELECT * FROM {t} WHERE {w} FOR UPDATE",
    "SELECT * FROM {t} WHERE {w} FOR SHARE SKIP LOCKED",
    "SELECT {c}::text FROM {t} WHERE {w} ORDER BY {c}::text LIMIT 5",
    "SELECT one.* FROM {t} one JOIN {u} two USING (tenant_id)",
    "SELECT two.* FROM {t} one FULL JOIN {u} two ON one.tenant_id = two.tenant_id",
    "SELECT two.* FROM {u} one CROSS JOIN LATERAL (SELECT * FROM {t} WHERE {w}) two",
    "SELECT tenant_id FROM {t} UNION SELECT tenant_id FROM {u}",
    "SELECT min(tenant_id) FILTER (WHERE {w}) FROM {t}",
    "SELECT string_agg(tenant_id, ',') OVER () FROM {t}",
    "WITH all_of_it AS MATERIALIZED (SELECT * FROM {t}) SELECT * FROM all_of_it WHERE {w}",
    "SELECT '{o}' WHERE EXISTS (SELECT FROM {t} WHERE tenant_id = '{o}')",
    "SELECT '{o}' FROM {t} GROUP BY tenant_id HAVING tenant_id = '{o}'",
    "TABLE {t}",
    "SELECT query_to_xml('TABLE {t}', true, false, '')::text",
)
WRITES = (
    "UPDATE {t} SET {c} = {c} WHERE {w} RETURNING *",
    "UPDATE {t} SET {c} = NULL WHERE tenant_id = '{o}'",
    "UPDATE {t} SET tenant_id = '{o}' WHERE {w} RETURNING *",
    "UPDATE {t} one SET {c} = one.{c} FROM {u} two WHERE two.tenant_id = '{o}' RETURNING two.*",
    "DELETE FROM {t} WHERE tenant_id = '{o}' RETURNING *",
    "DELETE FROM {t} one USING {u} two WHERE two.tenant_id = '{o}' RETURNING two.*",
    "WITH gone AS (DELETE FROM {t} WHERE tenant_id = '{o}' RETURNING *) SELECT * FROM gone",
    "INSERT INTO {t} SELECT * FROM {t} WHERE tenant_id = '{o}' ON CONFLICT DO NOTHING RETURNING *",
    "MERGE INTO {t} one USING (SELECT 1) two ON one.tenant_id = '{o}' WHEN MATCHED THEN DELETE",
)
INSERTS = (
    "",
    "ON CONFLICT DO NOTHING",
    "ON CONFLICT DO NOTHING RETURNING *",
    "ON CONFLICT ({key}) DO UPDATE SET tenant_id = excluded.tenant_id RETURNING *",
)
COPIES = ("COPY {t} TO STDOUT", "COPY (SELECT * FROM {t} WHERE {w}) TO STDOUT")

CONDITIONS = st.recursive(
    st.sampled_from(
        [
            "true",
            f"tenant_id = '{OTHER}'",
            f"tenant_id IN ('{OTHER}', '{OWN}')",
            f"tenant_id <> '{OWN}'",
            "tenant_id LIKE 'customer%'",
            f"tenant_id > '{OTHER[:-1]}'",
            f"length(tenant_id) = {len(OTHER)}",
            f"tenant_id = (SELECT '{OTHER}')",
            f"current_setting('{SETTING}', true) IS DISTINCT FROM tenant_id",
        ]
    ),
    lambda inner: st.one_of(
        st.builds("({} OR {})".format, inner, inner),
        st.builds("({} AND {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=4,
)


@st.composite
def statements(draw: st.DrawFn, table: str) -> sql.Composed | str:
    kind = draw(st.sampled_from(["read", "read", "write", "write", "insert", "copy"]))
    if kind == "insert":
        row = sample(metadata.tables[table], OTHER, draw(st.integers(0, ROWS)))
        key = ", ".join(column.name for column in metadata.tables[table].primary_key)
        return insertion(table, row, draw(st.sampled_from(INSERTS)).format(key=key))
    templates = {"read": READS, "write": WRITES, "copy": COPIES}[kind]
    return draw(st.sampled_from(templates)).format(
        t=table,
        u=draw(st.sampled_from(tables_of_tenants())),
        c=draw(st.sampled_from([column.name for column in metadata.tables[table].columns])),
        w=draw(CONDITIONS),
        o=OTHER,
    )


def run(connection: psycopg.Connection[Any], statement: sql.Composed | str) -> str:
    """What the statement shows, as one text; nothing if it is refused."""
    told = sql.SQL(statement) if isinstance(statement, str) else statement
    try:
        with connection.transaction(), connection.cursor() as cursor:
            if isinstance(statement, str) and statement.startswith("COPY"):
                with cursor.copy(told) as copied:
                    return "".join(bytes(part).decode() for part in copied)
            cursor.execute(told)
            return repr(cursor.fetchall()) if cursor.description else ""
    except (
        psycopg.errors.Error
    ):  # refused, or no valid statement of this table: it has had no effect either way
        return ""


@pytest.mark.parametrize("table", tables_of_tenants())
def test_no_statement_reads_or_changes_another_tenants_rows(world: World, table: str) -> None:
    before = {name: world.rows(name, OTHER) for name in tables_of_tenants()}
    assert all(len(rows) == ROWS for rows in before.values())

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(who=st.sampled_from(sorted(WHO)), program=st.lists(statements(table), min_size=1, max_size=4))
    def holds(who: str, program: list[sql.Composed | str]) -> None:
        login, preamble = WHO[who]
        connection = world.logins[login]
        connection.execute(preamble.encode())
        for statement in program:
            # Only the marks that are in the data: the statement's own words may come back in an error or a constant.
            shown = run(connection, statement)
            assert OTHER not in shown, (who, statement)
        connection.commit()
        assert world.rows(table, OTHER) == before[table], (who, program)

    holds()
    assert {name: world.rows(name, OTHER) for name in tables_of_tenants()} == before


@pytest.mark.parametrize("table", tables_of_tenants())
def test_the_same_statements_do_reach_rows_where_no_policy_stands_in_their_way(
    world: World, table: str
) -> None:
    world.admin.execute(sql.SQL("ALTER TABLE {} DISABLE ROW LEVEL SECURITY").format(sql.Identifier(table)))
    connection = world.logins[WIDE]
    for template in READS:
        if "query_to_xml" not in template:
            statement = template.format(t=table, u=table, c="tenant_id", w="true", o=OTHER)
            assert OTHER in run(connection, statement), statement
    for template in WRITES:
        if "= NULL" not in template and "ON CONFLICT" not in template:
            statement = template.format(t=table, u=table, c="tenant_id", w="true", o=OTHER)
            connection.execute(statement.encode())
            assert changed(connection, table), statement
            connection.rollback()


def changed(connection: psycopg.Connection[Any], table: str) -> bool:
    """Whether the transaction has written rows of the table."""
    row = connection.execute(
        "SELECT n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables WHERE relname = %s", [table]
    ).fetchone()
    return row is not None and row[0] > 0


@pytest.mark.parametrize("who", sorted(WHO))
@pytest.mark.parametrize("table", tables_of_tenants())
def test_a_row_that_names_another_tenant_cannot_be_copied_in(world: World, who: str, table: str) -> None:
    login, preamble = WHO[who]
    connection = world.logins[login]
    connection.execute(preamble.encode())
    row = {
        name: value
        for name, value in sample(metadata.tables[table], OTHER, ROWS).items()
        if value is not None
    }
    target = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, row))
    )
    # "COPY FROM is not supported with row-level security" (0A000), where rights did not stop it before that.
    with (
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)),
        connection.cursor() as cursor,
        cursor.copy(target) as copy,
    ):
        copy.write_row(list(row.values()))
    connection.rollback()
    assert len(world.rows(table, OTHER)) == ROWS


def test_a_runtime_neither_truncates_nor_locks_nor_makes_nor_looks_the_other_way(world: World) -> None:
    connection = world.logins["runtime"]
    for statement in (
        "TRUNCATE queue",
        "LOCK TABLE entity_versions IN ACCESS EXCLUSIVE MODE",
        "CREATE TABLE mine (id int)",
        "ALTER TABLE entities DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_tenant ON entities",
        "ALTER POLICY own_tenant ON entities USING (true)",
        f"ALTER ROLE {RUNTIME} BYPASSRLS",
        "CREATE ROLE mine",
        "SET row_security = off; SELECT * FROM entities",
        "DELETE FROM entity_versions",
        "UPDATE entity_versions SET version = 2",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
        connection.rollback()


def test_a_login_reaches_all_tenants_by_the_explicit_step_and_for_one_transaction_only(world: World) -> None:
    connection = world.logins["runtime"]
    count = "SELECT count(*) FROM journal"
    assert connection.execute(count).fetchone() == (0,)
    connection.execute(f"SET LOCAL ROLE {OPERATOR}".encode())
    assert connection.execute(count).fetchone() == (2 * ROWS,)
    connection.commit()
    assert connection.execute(count).fetchone() == (0,)
    connection.rollback()
