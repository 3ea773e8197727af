"""Roles and policies as the migrations make them in PostgreSQL, whoever migrates, and what a start needs of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from api_exchange_core import Exchange
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.doctor import catalog, rights
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.roles import OPERATOR, RIGHTS, RUNTIME, set_up
from api_exchange_core.adapters.sql.row_security import protect, tables_of_tenants, unforced, unprotect
from api_exchange_core.adapters.sql.schema import metadata
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.containers.local import LocalSettings, prepared_container
from api_exchange_core.domain.errors import DeclarationError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_testing.postgres import PostgresServer

SOURCES = Path(migrate.__file__).parent
TENANT = TenantId("customer-a")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIGRATE_ONE = """
import sys
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
engine = create_engine_for(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate.upgrade(engine)
assert migrate.is_current(engine)
"""


@pytest.fixture
def alone() -> Iterator[PostgresServer]:
    """A cluster of the test's own, in which no database has been migrated yet."""
    with PostgresServer.start() as server:
        yield server


@pytest.fixture
def migrated(postgres_url: str) -> Iterator[Engine]:
    engine = create_engine_for(postgres_url)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


def administer(server: PostgresServer, *statements: str) -> None:
    with psycopg.connect(server.url("postgres").replace("+psycopg", ""), autocommit=True) as administrator:
        for statement in statements:
            administrator.execute(statement.encode())


def works(url: str) -> None:
    """What a process does at its start, and in its first transaction, works with that login."""
    container = prepared_container(
        Exchange("shop", tenants=[TENANT]), LocalSettings(database_url=SecretStr(url))
    )
    try:
        assert [tenant.id for tenant in SqlTenantDirectory(container.engine()).all()] == [TENANT]
        with SqlUnitOfWorkFactory(container.engine(), queues_here=True).begin(TENANT) as unit:
            assert unit.entities.count() == 0
            unit.commit()
    finally:
        container.engine().dispose()


# What the migrations make


def test_every_table_with_a_tenant_has_its_policies_in_the_migrated_database(migrated: Engine) -> None:
    assert {"entities", "journal", "outbox", "queue"} < set(tables_of_tenants())
    with migrated.connect() as connection:
        assert catalog.row_security(connection).wrong == []
        assert catalog.policies(connection).wrong == []


def test_a_table_that_no_migration_protects_would_be_noticed(migrated: Engine) -> None:
    with migrated.begin() as connection:
        unprotect(connection, "errors")
        assert catalog.row_security(connection).wrong == ["row-level security is off for 'errors'"]
        assert len(catalog.policies(connection).wrong) == 2
        protect(connection, "errors", RIGHTS["errors"])
        assert catalog.row_security(connection).wrong == []
        assert catalog.policies(connection).wrong == []


def test_every_table_says_who_needs_which_rights_on_it() -> None:
    assert set(RIGHTS) == set(metadata.tables)
    assert not any(rights.runtime & {"TRUNCATE", "REFERENCES", "TRIGGER"} for rights in RIGHTS.values())


def test_the_rights_in_the_migrated_database_are_those_that_the_code_says(
    production_urls: Mapping[str, str],
) -> None:
    owner, runtime = (create_engine_for(production_urls[name]) for name in ("owner", "runtime"))
    migrate.upgrade(owner)
    with runtime.connect() as connection:
        assert rights.tables(connection).wrong == []
    owner.dispose()
    runtime.dispose()


def test_a_later_migration_by_the_owner_sees_the_rows_that_it_is_to_change(
    production_urls: Mapping[str, str],
) -> None:
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    with psycopg.connect(production_urls["admin"].replace("+psycopg", "")) as administrator:
        administrator.execute(
            "INSERT INTO entities VALUES ('customer-a', 'e', 'order', 'shop', '1', 1, 'h', NULL, now(), now())"
        )
    with owner.begin() as connection:
        change = text("UPDATE entities SET content_hash = 'other'")
        assert connection.execute(change).rowcount == 0
        with unforced(connection, "entities"):
            assert connection.execute(change).rowcount == 1
        assert connection.execute(change).rowcount == 0
        assert catalog.row_security(connection).wrong == []
    owner.dispose()


# Who migrates


def test_one_login_that_owns_everything_and_may_make_roles_needs_no_set_up(alone: PostgresServer) -> None:
    administer(alone, "CREATE ROLE shop LOGIN CREATEROLE", "CREATE DATABASE shop OWNER shop")
    works(alone.url("shop").replace("//postgres@", "//shop@"))


def test_a_superuser_needs_no_set_up(alone: PostgresServer) -> None:
    works(alone.create_database())


def test_an_owner_that_may_not_make_roles_is_told_what_an_administrator_runs_first(
    alone: PostgresServer,
) -> None:
    administer(alone, "CREATE ROLE shop LOGIN", "CREATE DATABASE shop OWNER shop")
    url = alone.url("shop").replace("//postgres@", "//shop@")
    with pytest.raises(DeclarationError, match="`api-exchange db roles`"):
        works(url)
    roles, *_ = set_up(database="unused", owner="unused", login="unused")
    administer(alone, roles, roles, f"GRANT {RUNTIME} TO shop")
    works(url)


def test_databases_of_one_cluster_that_are_migrated_at_once_share_the_roles(alone: PostgresServer) -> None:
    started = [  # as processes: Alembic's own state is the process's
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE_ONE, alone.create_database()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(len(started)) as threads:
        said = list(threads.map(lambda process: process.communicate("go\n")[1], started))
    assert [process.returncode for process in started] == [0] * len(started), said


def test_names_that_need_quotes_are_quoted_in_the_script(alone: PostgresServer) -> None:
    administer(alone, *set_up(database='shop "1"', owner="Owner's", login="log in; DROP"))
    url = alone.url('shop "1"')
    engine = create_engine_for(url.replace("//postgres@", "//Owner%27s@"))
    migrate.upgrade(engine)
    engine.dispose()
    works(url.replace("//postgres@", "//log%20in%3B%20DROP@"))


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="no name"):
        set_up(database="shop", owner=name, login="shop")


# Starting as the runtime


def test_a_start_as_the_runtime_needs_no_right_to_make_tables(production_urls: Mapping[str, str]) -> None:
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    works(production_urls["runtime"])


@pytest.mark.parametrize("old", ["no schema", "an old schema"])
def test_a_start_as_the_runtime_with_an_old_schema_says_who_must_migrate(
    production_urls: Mapping[str, str], old: str
) -> None:
    if old == "an old schema":
        owner = create_engine_for(production_urls["owner"])
        migrate.upgrade(owner)
        with owner.begin() as connection:
            connection.execute(text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '0001'"))
        owner.dispose()
    with pytest.raises(
        DeclarationError, match="run `api-exchange db upgrade` as the owner of its tables"
    ) as told:
        works(production_urls["runtime"])
    assert "login_" in str(told.value)


def test_a_login_that_is_no_runtime_is_told_where_to_look(production_urls: Mapping[str, str]) -> None:
    owner = create_engine_for(
        production_urls["owner"]
    )  # which an administrator made, and did not make a member
    migrate.upgrade(owner)
    with (
        pytest.raises(TransientError, match="`api-exchange db doctor`"),
        SqlUnitOfWorkFactory(owner, queues_here=True).begin(TENANT) as unit,
    ):
        unit.entities.count()
    owner.dispose()


def test_in_a_cluster_without_the_roles_the_error_says_to_migrate(alone: PostgresServer) -> None:
    engine = create_engine_for(alone.create_database())
    with pytest.raises(TransientError, match="has not been migrated"):
        SqlTenantDirectory(engine).all()
    engine.dispose()


# Who works across tenants


def test_work_across_tenants_has_one_way_in_and_these_take_it() -> None:
    assert importers_of("across_tenants") == {
        "backlog.py",
        "credential_store.py",
        "dead_letter_jobs.py",
        "dead_letters.py",
        "doctor/trial.py",  # looks what is left behind by it
        "entity_reports.py",
        "eraser.py",
        "leases.py",
        "message_reports.py",
        "outbox_relay_source.py",
        "queue.py",
        "retention_store.py",
        "tenant_directory.py",
    }


def test_what_is_neither_a_tenants_nor_across_tenants_asks_for_the_schema_only() -> None:
    assert importers_of("engine") == {
        "across_tenants.py",
        "doctor/__init__.py",
        "doctor/trial.py",
        "migrate.py",
        "migrations/env.py",
        "report_scope.py",
    }
    assert importers_of("scope") == {
        "across_tenants.py",
        "doctor/trial.py",
        "postgres_engine.py",
        "report_scope.py",  # a tenant's own, where the report is one tenant's
        "transaction.py",
    }


def importers_of(module: str) -> set[str]:
    package = "api_exchange_core.adapters.sql"
    return {
        str(file.relative_to(SOURCES))
        for file in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (
            node.module == f"{package}.{module}"
            or (node.module == package and module in {name.name for name in node.names})
        )
    }


def test_the_operator_has_no_login_and_passes_nothing_on(production_urls: Mapping[str, str]) -> None:
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    with psycopg.connect(production_urls["runtime"].replace("+psycopg", "")) as login:
        found = login.execute(
            "SELECT pg_has_role(%s, 'USAGE'), pg_has_role(%s, 'USAGE'), pg_has_role(%s, 'MEMBER')",
            [RUNTIME, OPERATOR, OPERATOR],
        ).fetchone()
    assert found == (True, False, True)
