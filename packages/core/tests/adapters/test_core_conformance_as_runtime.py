"""What runs on PostgreSQL passes its suites as the runtime login, too, which owns nothing and has few rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.backlog import SqlBacklog
from api_exchange_core.adapters.sql.dead_letter_jobs import SqlDeadLetterJobs
from api_exchange_core.adapters.sql.dead_letters import SqlDeadLetters
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.entity_reports import SqlEntityReports
from api_exchange_core.adapters.sql.eraser import SqlEraser
from api_exchange_core.adapters.sql.error_groups import SqlErrorGroups
from api_exchange_core.adapters.sql.leases import SqlLeases
from api_exchange_core.adapters.sql.message_reports import SqlMessageReports
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.retention_store import SqlRetentionStore
from api_exchange_core.adapters.sql.statistics import SqlStatisticsSource
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_testing.conformance import (
    BacklogSuite,
    CheckpointsSuite,
    DeadLetterJobsSuite,
    DeadLettersSuite,
    EntityReportsSuite,
    EntityStoreSuite,
    EraserSuite,
    ErrorGroupsSuite,
    ErrorLogSuite,
    JournalSuite,
    LeasesSuite,
    MessageConsumerSuite,
    MessagePublisherSuite,
    MessageReportsSuite,
    OutboxSuite,
    PassingTime,
    QueueInspectorSuite,
    QueuesHereSuite,
    QueueTraits,
    Reports,
    RetentionStoreSuite,
    StatisticsSourceSuite,
    Storage,
    TenantDirectorySuite,
    Transport,
    UnitOfWorkSuite,
)
from api_exchange_testing.conformance.dead_letter_jobs import Connect as JobsConnect
from api_exchange_testing.conformance.eraser import ConnectEraser
from api_exchange_testing.conformance.leases import ConnectLeases
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


class TestSqlStoreAsRuntime(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, CheckpointsSuite, OutboxSuite
):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=False)


class TestSqlStoreWithQueuesAsRuntime(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, CheckpointsSuite, QueuesHereSuite
):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=True)


class TestSqlTenantDirectoryAsRuntime(TenantDirectorySuite):
    @pytest.fixture
    def connect(self, new_engine: NewEngine) -> Connect:
        return lambda: SqlTenantDirectory(new_engine())


class TestSqlDeadLettersAsRuntime(DeadLettersSuite):
    @pytest.fixture
    def transport(self, new_engine: NewEngine, clock: PassingTime) -> Transport:
        return transport_of(new_engine(), clock)

    @pytest.fixture
    def dead_letters(self, new_engine: NewEngine, clock: PassingTime) -> SqlDeadLetters:
        return SqlDeadLetters(new_engine(), clock)


class TestSqlDeadLetterJobsAsRuntime(DeadLetterJobsSuite):
    @pytest.fixture
    def connect(self, new_engine: NewEngine) -> JobsConnect:
        return lambda: SqlDeadLetterJobs(new_engine())


class TestSqlReportsAsRuntime(
    MessageReportsSuite, ErrorGroupsSuite, StatisticsSourceSuite, BacklogSuite, EntityReportsSuite
):
    @pytest.fixture
    def reports(self, new_engine: NewEngine, clock: PassingTime) -> Reports:
        engine = new_engine()
        return Reports(
            storage=storage_of(new_engine, clock, queues_here=True),
            messages=SqlMessageReports(engine),
            errors=SqlErrorGroups(engine),
            statistics=SqlStatisticsSource(engine),
            backlog=SqlBacklog(engine),
            entities=SqlEntityReports(engine),
        )


class TestSqlLeasesAsRuntime(LeasesSuite):
    @pytest.fixture
    def connect_leases(self, new_engine: NewEngine) -> ConnectLeases:
        return lambda: SqlLeases(new_engine())


class TestSqlEraserAsRuntime(EraserSuite):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=True)

    @pytest.fixture
    def connect_eraser(self, new_engine: NewEngine) -> ConnectEraser:
        return lambda: SqlEraser(new_engine())


class TestSqlRetentionStoreAsRuntime(RetentionStoreSuite):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=False)

    @pytest.fixture
    def retention(self, new_engine: NewEngine) -> RetentionStore:
        return SqlRetentionStore(new_engine())
