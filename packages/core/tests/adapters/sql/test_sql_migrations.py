from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import alembic.config
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Column, Engine, MetaData, Text, inspect, text

from api_exchange_core.adapters.sql import migrate, migrations, sqlite_engine
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.schema import metadata
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.domain.errors import DeclarationError, TenantError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant

INI = Path(next(iter(migrations.__path__))) / "alembic.ini"
START_ONE = """
import sys
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
engine = create_engine_for(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate.upgrade(engine)
assert migrate.is_current(engine)
"""


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_an_empty_database_has_no_revision(empty_engine: Engine) -> None:
    assert migrate.current(empty_engine) is None
    assert not migrate.is_current(empty_engine)


def test_upgrading_makes_the_tables_that_the_code_works_with(empty_engine: Engine) -> None:
    migrate.upgrade(empty_engine)
    assert migrate.is_current(empty_engine)
    with empty_engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrate.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_a_column_that_no_migration_makes_would_be_noticed(engine: Engine) -> None:
    wanted = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(wanted)
    wanted.tables["journal"].append_column(Column("forgotten", Text))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrate.VERSION_TABLE})
        assert len(compare_metadata(context, wanted)) == 1


def test_checks_are_in_the_migrated_schema_as_they_are_in_the_code(engine: Engine) -> None:
    for table in metadata.tables.values():
        made = {check["name"] for check in inspect(engine).get_check_constraints(table.name)}
        assert made == {one.name for one in table.constraints if isinstance(one, CheckConstraint)}


def test_upgrading_again_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO tenants (id, enabled, created_at) SELECT 'a', true, {}".format(
                    "0" if engine.dialect.name == "sqlite" else "now()"
                )
            )
        )
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM tenants")).scalar_one() == 1


def test_the_head_that_a_start_compares_with_is_the_newest_migration() -> None:
    scripts = ScriptDirectory.from_config(Config(INI))
    assert scripts.get_heads() == [migrate.HEAD]


def test_alembic_by_hand_goes_to_the_newest_revision_and_back_to_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", database_url)
    engine = create_engine_for(database_url)
    alembic.config.main(["-c", str(INI), "upgrade", "head"])
    assert migrate.is_current(engine)
    assert tables(engine) == {*metadata.tables, migrate.VERSION_TABLE}
    alembic.config.main(["-c", str(INI), "downgrade", "base"])
    assert migrate.current(engine) is None
    assert tables(engine) == {migrate.VERSION_TABLE}
    engine.dispose()


def test_processes_that_start_at_once_migrate_one_after_the_other(database_url: str) -> None:
    command = [sys.executable, "-c", START_ONE, database_url]
    started = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(len(started)) as threads:
        said = list(threads.map(lambda process: process.communicate("go\n")[1], started))
    assert [process.returncode for process in started] == [0] * len(started), said


def test_while_one_migrates_no_other_does(
    empty_engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_engine, "WAIT_FOR_WRITER", timedelta(milliseconds=20))
    impatient = "" if database_url.startswith("sqlite") else "?options=-clock_timeout%3D20ms"
    other = create_engine_for(database_url + impatient)
    with migrate.locked(empty_engine), pytest.raises(TransientError):
        migrate.upgrade(other)
    assert migrate.current(other) is None
    migrate.upgrade(other)
    assert migrate.is_current(empty_engine)
    other.dispose()


def test_a_database_of_a_newer_release_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'"))
    assert not migrate.is_current(engine)
    with pytest.raises(DeclarationError, match="9999"):
        migrate.upgrade(engine)
    assert migrate.current(engine) == "9999"


def test_a_start_on_a_current_schema_does_not_import_alembic(engine: Engine) -> None:
    program = (
        "import sys\nfrom api_exchange_core.adapters.sql import migrate\n"
        "from api_exchange_core.adapters.sql.engine import create_engine_for\n"
        "assert migrate.is_current(create_engine_for(sys.argv[1]))\nassert 'alembic' not in sys.modules\n"
    )
    url = engine.url.render_as_string(hide_password=False)
    subprocess.run([sys.executable, "-c", program, url], check=True)


def test_tenants_and_keys_of_the_first_release_are_kept(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", database_url)
    engine = create_engine_for(database_url)
    alembic.config.main(["-c", str(INI), "upgrade", "0001"])
    now = "0" if engine.dialect.name == "sqlite" else "now()"
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO tenants (id, enabled, created_at) SELECT 'Acme', true, {now}"))
        connection.execute(
            text(f"INSERT INTO api_keys (key_hash, tenant_id, created_at) SELECT '1', 'Acme', {now}")
        )
    migrate.upgrade(engine)
    directory = SqlTenantDirectory(engine)
    assert list(directory.all()) == [Tenant(TenantId("Acme"))]
    assert directory.by_api_key("1") == Tenant(TenantId("Acme"))
    with pytest.raises(TenantError, match="case"):
        directory.add([TenantId("acme")], now=datetime(2026, 3, 1, tzinfo=UTC))
    engine.dispose()
