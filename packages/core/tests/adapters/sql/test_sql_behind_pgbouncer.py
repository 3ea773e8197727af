"""Tenants behind PgBouncer in transaction mode: two connections to the database, and everybody's turn on them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    Schedule,
)
from api_exchange_core.adapters.sql import across_tenants, migrate
from api_exchange_core.adapters.sql.doctor import examine
from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.containers.local import LocalSettings, prepared_container
from api_exchange_core.domain.entity import EntityHead, EntityKey
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite

TENANTS = (TenantId("customer-a"), TenantId("customer-b"))
THREADS = 8
ROUNDS = 25
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = text("SELECT tenant_id, pg_backend_pid() AS server FROM entities")
WHO = text(
    "SELECT coalesce(current_setting('api_exchange.tenant_id', true), '') AS tenant, current_user = session_user AS own"
)


@pytest.fixture
def url(production_urls: Mapping[str, str], pooled_url: str) -> str:
    """The runtime's, through PgBouncer, to a database that its owner has migrated."""
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    return pooled_url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine_for(url)
    yield engine
    engine.dispose()


def write_one(engine: Engine, tenant_id: TenantId, name: str, *, commit: bool) -> None:
    key = EntityKey(tenant_id, "order", "shop", name)
    with SqlUnitOfWorkFactory(engine, queues_here=True).begin(tenant_id) as unit:
        unit.entities.write([HeadWrite(EntityHead(key, key.id, 1, "h", None, NOW), 0)], [])
        if commit:
            unit.commit()


def test_of_many_that_take_turns_nobody_sees_another_tenants_rows(url: str) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    left_behind: set[tuple[str, bool]] = set()
    servers: set[int] = set()
    at_once = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        mine, engine = (
            TENANTS[thread % 2],
            create_engine_for(url),
        )  # each thread is a process of its own, as it were
        try:
            engine.connect().close()
            at_once.wait(30)
            for number in range(ROUNDS):
                write_one(engine, mine, f"{thread}-{number}", commit=number % 3 != 0)
                transaction = Transaction(engine, mine)
                with transaction.reading() as connection:
                    rows = connection.execute(ALL).all()
                transaction.close()
                seen[mine].update(row.tenant_id for row in rows)
                servers.update(row.server for row in rows)
                with across_tenants.reading(engine) as connection:
                    connection.execute(ALL)
                with writing(engine) as connection:
                    seen["nobody"].update(row.tenant_id for row in connection.execute(ALL))
                    left_behind.add(tuple(connection.execute(WHO).one()))
        finally:
            engine.dispose()

    seen["nobody"] = set()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))
    assert seen == {"customer-a": {"customer-a"}, "customer-b": {"customer-b"}, "nobody": set()}
    assert left_behind == {("", True)}
    assert 1 <= len(servers) <= 2, "there was no pooler in between"


def test_a_setting_that_another_client_left_in_the_session_shows_nobody_anything(
    url: str, engine: Engine
) -> None:
    for tenant_id in TENANTS:
        write_one(engine, tenant_id, "1", commit=True)
    with psycopg.connect(url.replace("+psycopg", ""), prepare_threshold=None) as careless:
        careless.execute("SET api_exchange.tenant_id = 'customer-a'")
    transaction = Transaction(engine, TENANTS[1])
    with transaction.reading() as connection:
        assert [row.tenant_id for row in connection.execute(ALL)] == ["customer-b"]
    transaction.close()
    with writing(engine) as connection:  # PgBouncer hands the session on as it was left
        assert connection.execute(WHO).one().tenant == "customer-a"
    examination = examine(engine)
    assert {check.name for check in examination.checks if not check.ok} == {"isolation", "pool"}


def test_the_doctor_blesses_a_pooled_deployment(engine: Engine) -> None:
    examination = examine(engine)
    assert [wrong for check in examination.checks for wrong in check.wrong] == []


class Send(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(
            external_id="1", canonical_type="order", source="shop", data={"of": message.tenant_id}
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("step"))
        return result


class Step(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("done"))
        return result


def test_an_exchange_runs_through_it_from_timer_to_queue(
    url: str, engine: Engine, production_urls: Mapping[str, str], tmp_path: Path
) -> None:
    exchange = Exchange("shop", tenants=TENANTS)
    exchange.timer("send", Schedule.every(minutes=20), Send)
    exchange.queue("step", "step", Step)
    container = prepared_container(
        exchange,
        LocalSettings(database_url=SecretStr(url), output_folder=tmp_path, port=0, timers=False),
    )
    runner = container.runner()
    runner.start()
    try:
        runner.tick_all()
        deadline = time.monotonic() + 60
        while container.queue().depths() != {"done": 2}:
            assert time.monotonic() < deadline, container.queue().depths()
            runner.bell.wait(runner.bell.rings, at_most=timedelta(milliseconds=10))
    finally:
        runner.stop()
        container.engine().dispose()
    done = container.queue().receive(QueueName("done"), max_messages=10, visibility=timedelta(0))
    assert len(done) == 2
    container.engine().dispose()
    for tenant_id in TENANTS:
        with SqlUnitOfWorkFactory(engine, queues_here=True).begin(tenant_id) as unit:
            assert unit.entities.count() == 1
