from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from api_exchange_core.adapters.sql import migrate, postgres_engine, sqlite_engine
from api_exchange_core.adapters.sql.engine import create_engine_for, reading, writing
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.errors import DeclarationError, TransientError
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing

TENANT = TenantId("customer-a")
QUEUE = QueueName("orders")
MESSAGE = Outgoing(queue=QUEUE, tenant_id=TENANT, message_id=MessageId("m"), body=b"{}")
SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:s3cr3t@h/n", "mysql"),
        ("sqlite://", "sqlite:///FILE"),
        ("sqlite:///:memory:", "sqlite:///FILE"),
        (f"postgresql//u:{SECRET}@h", "percent-encoded"),
        (f"postgresql://u:{SECRET}@h:port/n", "percent-encoded"),
        (f"postgresql://u:p@{SECRET}@127.0.0.1/n", "percent-encoded"),
    ],
)
def test_a_url_that_will_not_do_is_refused_without_showing_its_password(url: str, says: str) -> None:
    with pytest.raises(DeclarationError, match=says) as refused:
        create_engine_for(url)
    assert SECRET not in str(refused.value)


def test_a_missing_driver_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DeclarationError, match=r"api-exchange-core\[postgres\]"):
        create_engine_for("postgresql://localhost/exchange")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="missing"):
        create_engine_for(f"sqlite:///{tmp_path}/missing/exchange.db")


def test_a_file_that_is_no_database_is_told_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "exchange.db").write_bytes(b"no database" * 100)
    engine = create_engine_for(f"sqlite:///{tmp_path}/exchange.db")
    with pytest.raises(TransientError, match="not a database"):
        SqlTenantDirectory(engine).all()
    engine.dispose()


def test_an_sqlite_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))
    with pytest.raises(DeclarationError, match="oldest"):
        create_engine_for("sqlite:///exchange.db")


def test_a_server_that_cannot_be_reached_is_worth_another_try_and_its_password_stays_secret() -> None:
    engine = create_engine_for(f"postgresql://somebody:{SECRET}@127.0.0.1:1/exchange")
    with pytest.raises(TransientError) as unreachable:
        SqlTenantDirectory(engine).all()
    assert "127.0.0.1" in str(unreachable.value)
    error: BaseException | None = unreachable.value
    while error is not None:
        assert SECRET not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    assert SECRET not in repr(engine)


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    engine = create_engine_for(f"sqlite:///{tmp_path}/exchange.db")
    migrate.upgrade(engine)
    return engine


def test_sqlite_syncs_at_each_commit_and_writes_ahead(sqlite: Engine) -> None:
    with reading(sqlite) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    sqlite.dispose()


def test_on_sqlite_whoever_only_reads_does_not_wait_for_the_writer(sqlite: Engine) -> None:
    queue, units = SqlQueue(sqlite, SystemClock()), SqlUnitOfWorkFactory(sqlite, queues_here=True)
    with writing(sqlite) as connection:
        connection.execute(
            text("INSERT INTO tenants (id, enabled, created_at, config) VALUES ('customer-a', 1, 0, '{}')")
        )
        # In one thread: anything that wanted to write would wait for itself, and fail.
        assert list(queue.receive(QUEUE, max_messages=1, visibility=timedelta(minutes=1))) == []
        assert queue.depths() == {}
        assert list(SqlTenantDirectory(sqlite).all()) == []
        with units.begin(TENANT) as unit:
            assert unit.entities.count() == 0
            assert unit.journal.completed(FunctionName("f"), [MessageId("m")]) == set()
            unit.commit()
    assert len(SqlTenantDirectory(sqlite).all()) == 1
    sqlite.dispose()


@pytest.mark.parametrize("elsewhere", [False, True], ids=["thread", "process"])
def test_a_writer_that_waits_too_long_may_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    monkeypatch.setattr(sqlite_engine, "WAIT_FOR_WRITER", timedelta(milliseconds=20))
    url = f"sqlite:///{tmp_path}/exchange.db"
    engine = create_engine_for(url)
    other = create_engine_for(url) if elsewhere else engine
    migrate.upgrade(engine)
    queue = SqlQueue(other, SystemClock())
    with writing(engine), pytest.raises(TransientError, match="SQLite"):
        queue.publish([MESSAGE])
    queue.publish([MESSAGE])
    assert queue.depths() == {QUEUE: 1}
    engine.dispose()
    other.dispose()


def test_a_unit_of_work_that_reads_first_and_then_writes_sees_what_was_written_in_between(
    sqlite: Engine,
) -> None:
    queue, units = SqlQueue(sqlite, SystemClock()), SqlUnitOfWorkFactory(sqlite, queues_here=True)
    with units.begin(TENANT) as unit:
        assert unit.entities.count() == 0
        queue.publish([MESSAGE])
        unit.outbox.add([MESSAGE], now=datetime.now(UTC))
        unit.commit()
    assert queue.depths() == {QUEUE: 2}
    sqlite.dispose()


@pytest.fixture
def postgres(postgres_url: str) -> Engine:
    engine = create_engine_for(postgres_url)
    migrate.upgrade(engine)
    return engine


def end_the_other_connections(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_a_connection_that_died_costs_one_error_that_says_again(postgres: Engine, postgres_url: str) -> None:
    directory, killer = SqlTenantDirectory(postgres), create_engine_for(postgres_url)
    directory.all()
    end_the_other_connections(killer)
    with pytest.raises(TransientError):
        directory.all()
    assert list(directory.all()) == []
    postgres.dispose()
    killer.dispose()


def test_a_connection_that_died_while_it_rested_is_replaced_unseen(
    postgres: Engine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_engine, "PING_AFTER", timedelta(0))
    directory, killer = SqlTenantDirectory(postgres), create_engine_for(postgres_url)
    directory.all()
    end_the_other_connections(killer)
    assert list(directory.all()) == []
    postgres.dispose()
    killer.dispose()


@pytest.mark.parametrize(("direct", "limit"), [(False, "0"), (True, "30s")])
def test_a_pooler_in_between_meets_no_prepared_statements_and_no_session_settings(
    postgres_url: str, direct: bool, limit: str
) -> None:
    engine = create_engine_for(postgres_url, direct=direct)
    with reading(engine) as connection:
        for _ in range(10):
            connection.execute(text("SELECT 1"))
        prepared = connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
        assert (prepared > 0) is direct
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == limit
    engine.dispose()


def test_what_the_url_says_of_the_connection_wins(postgres_url: str) -> None:
    engine = create_engine_for(f"{postgres_url}?application_name=mine")
    with reading(engine) as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "mine"
    engine.dispose()
