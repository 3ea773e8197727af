"""What runs on PostgreSQL passes its suites as the runtime login, too, which owns nothing and has few rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_testing.conformance import (
    EntityStoreSuite,
    ErrorLogSuite,
    JournalSuite,
    MessageConsumerSuite,
    MessagePublisherSuite,
    OutboxSuite,
    PassingTime,
    QueueInspectorSuite,
    QueuesHereSuite,
    QueueTraits,
    Storage,
    TenantDirectorySuite,
    Transport,
    UnitOfWorkSuite,
)
from api_exchange_testing.conformance.tenant_directory import Connect

GRACE = timedelta(seconds=5)
TENANTS = (TenantId("customer-a"), TenantId("customer-b"))

NewEngine = Callable[[], Engine]


@pytest.fixture
def new_engine(production_urls: Mapping[str, str]) -> Iterator[NewEngine]:
    """Connects to a database that its owner has migrated, as another process would each time."""
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    engines: list[Engine] = []

    def connect() -> Engine:
        engines.append(create_engine_for(production_urls["runtime"]))
        return engines[-1]

    yield connect
    for engine in engines:
        engine.dispose()


def transport_of(engine: Engine, clock: Clock) -> Transport:
    queue = SqlQueue(engine, clock)
    return Transport(
        publisher=queue, consumer=queue, inspector=queue, traits=QueueTraits(receipts_expire=False)
    )


def storage_of(new_engine: NewEngine, clock: Clock, *, queues_here: bool) -> Storage:
    engine = new_engine()
    SqlTenantDirectory(engine).add(TENANTS, now=datetime(2026, 1, 1, tzinfo=UTC))
    return Storage(
        connect=lambda: SqlUnitOfWorkFactory(new_engine(), queues_here=queues_here, relay_grace=GRACE),
        relay_source=SqlOutboxRelaySource(engine),
        due_after=GRACE,
        transport=transport_of(engine, clock) if queues_here else None,
    )


class TestSqlQueueAsRuntime(MessagePublisherSuite, MessageConsumerSuite, QueueInspectorSuite):
    @pytest.fixture
    def transport(self, new_engine: NewEngine, clock: PassingTime) -> Transport:
        return transport_of(new_engine(), clock)


class TestSqlStoreAsRuntime(UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, OutboxSuite):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=False)


class TestSqlStoreWithQueuesAsRuntime(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, QueuesHereSuite
):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=True)


class TestSqlTenantDirectoryAsRuntime(TenantDirectorySuite):
    @pytest.fixture
    def connect(self, new_engine: NewEngine) -> Connect:
        return lambda: SqlTenantDirectory(new_engine())
