"""The adapters in memory pass the suites that every adapter passes."""

from __future__ import annotations

import pytest

from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.ports.canonical_encoder import CanonicalEncoder
from api_exchange_testing import (
    InMemoryBacklog,
    InMemoryEntityReports,
    InMemoryErrorGroups,
    InMemoryFileSink,
    InMemoryMessageReports,
    InMemoryQueue,
    InMemoryStatisticsSource,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryUnitOfWorkFactory,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
)
from api_exchange_testing.conformance import (
    BacklogSuite,
    CanonicalEncoderSuite,
    ClockSuite,
    EntityReportsSuite,
    EntityStoreSuite,
    ErrorGroupsSuite,
    ErrorLogSuite,
    FileSinkSuite,
    JournalSuite,
    MessageConsumerSuite,
    MessagePublisherSuite,
    MessageReportsSuite,
    ObserverSuite,
    OutboxSuite,
    PassingTime,
    QueueInspectorSuite,
    QueuesHereSuite,
    QueueTraits,
    RandomnessSuite,
    Reports,
    StatisticsSourceSuite,
    Storage,
    TenantDirectorySuite,
    Transport,
    UnitOfWorkSuite,
)
from api_exchange_testing.conformance.file_sink import Read
from api_exchange_testing.conformance.tenant_directory import Connect
from api_exchange_testing.memory.outbox import DUE_AFTER
from api_exchange_testing.memory.queue import MAX_BODY


def transport_of(queue: InMemoryQueue) -> Transport:
    traits = QueueTraits(max_body=MAX_BODY, max_delay=MAX_DELAY)
    return Transport(publisher=queue, consumer=queue, inspector=queue, traits=traits)


def storage_of(store: InMemoryStore) -> Storage:
    return Storage(
        connect=lambda: InMemoryUnitOfWorkFactory(store),
        relay_source=store.relay_source,
        due_after=DUE_AFTER,
        transport=None if store.queue is None else transport_of(store.queue),
    )


class TestInMemoryQueue(MessagePublisherSuite, MessageConsumerSuite, QueueInspectorSuite):
    @pytest.fixture
    def transport(self, clock: PassingTime) -> Transport:
        return transport_of(InMemoryQueue(clock))


class TestInMemoryStore(UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, OutboxSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        return storage_of(InMemoryStore())


class TestInMemoryStoreWithQueues(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, QueuesHereSuite
):
    @pytest.fixture
    def storage(self, clock: PassingTime) -> Storage:
        return storage_of(InMemoryStore(queue=InMemoryQueue(clock)))


class TestInMemoryReports(
    MessageReportsSuite, ErrorGroupsSuite, StatisticsSourceSuite, BacklogSuite, EntityReportsSuite
):
    @pytest.fixture
    def reports(self, clock: PassingTime) -> Reports:
        queue = InMemoryQueue(clock)
        store = InMemoryStore(queue=queue)
        return Reports(
            storage=storage_of(store),
            messages=InMemoryMessageReports(store),
            errors=InMemoryErrorGroups(store),
            statistics=InMemoryStatisticsSource(store),
            backlog=InMemoryBacklog(store, queue),
            entities=InMemoryEntityReports(store),
        )


class TestInMemoryTenantDirectory(TenantDirectorySuite):
    @pytest.fixture
    def connect(self) -> Connect:
        directory = InMemoryTenantDirectory()
        return lambda: directory


class TestInMemoryFileSink(FileSinkSuite):
    @pytest.fixture
    def sink(self) -> InMemoryFileSink:
        return InMemoryFileSink()

    @pytest.fixture
    def read(self, sink: InMemoryFileSink) -> Read:
        def read(tenant_id: TenantId, name: str) -> bytes:
            return sink.read(tenant_id, name)

        return read


class TestVirtualClock(ClockSuite):
    @pytest.fixture
    def subject(self, clock: VirtualClock) -> VirtualClock:
        return clock


class TestSeededRandomness(RandomnessSuite):
    @pytest.fixture
    def randomness(self) -> SeededRandomness:
        return SeededRandomness(seed=7)


class TestRecordingObserver(ObserverSuite):
    @pytest.fixture
    def observer(self) -> RecordingObserver:
        return RecordingObserver()


class TestCanonicalBytes(CanonicalEncoderSuite):
    """The domain's own encoder is what the suite compares with."""

    @pytest.fixture
    def encode(self) -> CanonicalEncoder:
        return canonical_bytes
