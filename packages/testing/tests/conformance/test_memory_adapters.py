"""The adapters in memory pass the suites that every adapter passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.ports.canonical_encoder import CanonicalEncoder
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_testing import (
    InMemoryBacklog,
    InMemoryDeadLetterJobs,
    InMemoryDeadLetters,
    InMemoryEntityReports,
    InMemoryEraser,
    InMemoryErrorGroups,
    InMemoryFileSink,
    InMemoryLeases,
    InMemoryMessageReports,
    InMemoryQueue,
    InMemoryRetentionStore,
    InMemoryStatisticsSource,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryUnitOfWorkFactory,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
    VirtualSleeper,
)
from api_exchange_testing.conformance import (
    BacklogSuite,
    CanonicalEncoderSuite,
    CheckpointsSuite,
    ClockSuite,
    DeadLetterJobsSuite,
    DeadLettersSuite,
    EntityReportsSuite,
    EntityStoreSuite,
    EraserSuite,
    ErrorGroupsSuite,
    ErrorLogSuite,
    FileSinkSuite,
    JournalSuite,
    LeasesSuite,
    MessageConsumerSuite,
    MessagePublisherSuite,
    MessageReportsSuite,
    ObserverSuite,
    OutboxSuite,
    PassingTime,
    PayloadStoreSuite,
    QueueInspectorSuite,
    QueuesHereSuite,
    QueueTraits,
    RandomnessSuite,
    Reports,
    RetentionStoreSuite,
    SleeperSuite,
    StatisticsSourceSuite,
    Storage,
    TenantDirectorySuite,
    Transport,
    UnitOfWorkSuite,
)
from api_exchange_testing.conformance.dead_letter_jobs import Connect as JobsConnect
from api_exchange_testing.conformance.eraser import ConnectEraser
from api_exchange_testing.conformance.file_sink import Read
from api_exchange_testing.conformance.leases import ConnectLeases
from api_exchange_testing.conformance.payload_store import Damage
from api_exchange_testing.conformance.tenant_directory import Connect
from api_exchange_testing.memory.outbox import DUE_AFTER
from api_exchange_testing.memory.payload_store import InMemoryPayloadStore
from api_exchange_testing.memory.profile import PORTABLE, SERVICE_BUS, SQS, STORAGE_QUEUE, Profile


def transport_of(queue: InMemoryQueue) -> Transport:
    profile = queue.profile
    traits = QueueTraits(
        max_body=PORTABLE.max_bytes,
        max_delay=MAX_DELAY,
        ordering_keys=profile.ordering_keys,
        fair=profile.fair,
        receipts_expire=profile.receipts_expire,
    )
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


class TestInMemoryQueueAsOnAPlatform(MessageConsumerSuite, QueueInspectorSuite):
    """As a publisher, a platform takes less than `MessagePublisher` promises until an adapter makes up for it."""

    @pytest.fixture(params=[SQS, SERVICE_BUS, STORAGE_QUEUE], ids=lambda profile: profile.name)
    def profile(self, request: pytest.FixtureRequest) -> Profile:
        profile: Profile = request.param
        return profile

    @pytest.fixture
    def transport(self, clock: PassingTime, profile: Profile) -> Transport:
        return transport_of(InMemoryQueue(clock, profile=profile))


class TestQueueWithClaimCheck(MessagePublisherSuite, MessageConsumerSuite):
    """A small queue and a store for contents are a queue for messages of any size."""

    @pytest.fixture
    def transport(self, clock: PassingTime) -> Transport:
        queue = InMemoryQueue(clock, profile=STORAGE_QUEUE)
        claims = ClaimCheck(InMemoryPayloadStore(), limit=48 * 1024)
        return replace(
            transport_of(queue),
            publisher=ClaimCheckPublisher(queue, claims),
            consumer=ClaimCheckConsumer(queue, claims),
            inspector=None,
        )


class TestInMemoryPayloadStore(PayloadStoreSuite):
    @pytest.fixture
    def payloads(self) -> InMemoryPayloadStore:
        return InMemoryPayloadStore()

    @pytest.fixture
    def damage(self, payloads: InMemoryPayloadStore) -> Damage:
        return payloads.damage


class TestInMemoryDeadLetters(DeadLettersSuite):
    @pytest.fixture
    def queues(self, clock: PassingTime) -> InMemoryQueue:
        return InMemoryQueue(clock)

    @pytest.fixture
    def transport(self, queues: InMemoryQueue) -> Transport:
        return transport_of(queues)

    @pytest.fixture
    def dead_letters(self, queues: InMemoryQueue) -> InMemoryDeadLetters:
        return InMemoryDeadLetters(queues)


class TestInMemoryDeadLetterJobs(DeadLetterJobsSuite):
    @pytest.fixture
    def connect(self) -> JobsConnect:
        jobs = InMemoryDeadLetterJobs()
        return lambda: jobs


class TestInMemoryStore(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, CheckpointsSuite, OutboxSuite
):
    @pytest.fixture
    def storage(self) -> Storage:
        return storage_of(InMemoryStore())


class TestInMemoryStoreWithQueues(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, CheckpointsSuite, QueuesHereSuite
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


class TestInMemoryLeases(LeasesSuite):
    @pytest.fixture
    def connect_leases(self) -> ConnectLeases:
        leases = InMemoryLeases()
        return lambda: leases


class TestInMemoryEraser(EraserSuite):
    @pytest.fixture
    def store(self, clock: PassingTime) -> InMemoryStore:
        return InMemoryStore(queue=InMemoryQueue(clock))

    @pytest.fixture
    def storage(self, store: InMemoryStore) -> Storage:
        return storage_of(store)

    @pytest.fixture
    def connect_eraser(self, store: InMemoryStore) -> ConnectEraser:
        eraser = InMemoryEraser(store)
        return lambda: eraser


class TestInMemoryRetentionStore(RetentionStoreSuite):
    @pytest.fixture
    def store(self) -> InMemoryStore:
        return InMemoryStore()

    @pytest.fixture
    def storage(self, store: InMemoryStore) -> Storage:
        return storage_of(store)

    @pytest.fixture
    def retention(self, store: InMemoryStore) -> RetentionStore:
        return InMemoryRetentionStore(store)


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


class TestVirtualSleeper(SleeperSuite):
    @pytest.fixture
    def ticking(self, clock: VirtualClock) -> VirtualClock:
        return clock

    @pytest.fixture
    def sleeper(self, clock: VirtualClock) -> VirtualSleeper:
        return VirtualSleeper(clock)


class TestRecordingObserver(ObserverSuite):
    @pytest.fixture
    def observer(self) -> RecordingObserver:
        return RecordingObserver()


class TestCanonicalBytes(CanonicalEncoderSuite):
    """The domain's own encoder is what the suite compares with."""

    @pytest.fixture
    def encode(self) -> CanonicalEncoder:
        return canonical_bytes
