"""64 threads at one entity: what they write is all there, in one row of versions, and nobody hears of the race."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from dependency_injector import providers
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    tenant_context,
)
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.entity import EntityVersion, Persisted, PersistOutcome
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.observer import Outcome
from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing import (
    InMemoryFileSink,
    InMemoryQueue,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryUnitOfWorkFactory,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
)
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.memory.token_store import InMemoryTokenStore

WRITERS = 64
CUSTOMER = TenantId("customer-a")
INBOX, DONE = QueueName("inbox"), QueueName("done")


class Keep(ProcessorInterface):
    """Persists what it is sent, always as the same order."""

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(
            external_id="4711", canonical_type="order", source="shop", data=message.payload
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(DONE))
        return result


@dataclass
class Bench:
    """One function over one store, whose queues are in it."""

    queue: InMemoryQueue | SqlQueue
    units: UnitOfWorkFactory
    outbox: OutboxRelaySource
    clock: VirtualClock
    observer: RecordingObserver = field(default_factory=RecordingObserver)

    def __post_init__(self) -> None:
        exchange = Exchange("shop", tenants=[CUSTOMER])
        self.function = exchange.queue("keep", INBOX, Keep)
        tenants = InMemoryTenantDirectory()
        tenants.add([CUSTOMER], now=self.clock.now())
        self.use_cases = UseCases(
            exchange=providers.Object(exchange),
            clock=providers.Object(self.clock),
            token_store=providers.Object(InMemoryTokenStore(self.clock)),
            randomness=providers.Object(SeededRandomness(0)),
            observer=providers.Object(self.observer),
            units=providers.Object(self.units),
            tenants=providers.Object(tenants),
            publisher=providers.Object(self.queue),
            files=providers.Object(InMemoryFileSink()),
            outbox=providers.Object(self.outbox),
        )
        self.use_cases.handler()  # made here: what is single is not to be made by many threads at once
        self.entities = self.use_cases.entity_service()

    def persist(
        self, data: object, *, expected_version: int | None = None, source_version: int | None = None
    ) -> Persisted:
        with tenant_context(CUSTOMER):
            return self.entities.persist(
                external_id="4711",
                canonical_type="order",
                source="shop",
                data=data,
                expected_version=expected_version,
                source_version=source_version,
            )

    def history(self) -> Sequence[EntityVersion]:
        """The versions of the order, which must be those up to its head, each once."""
        with tenant_context(CUSTOMER):
            head = self.entities.head(external_id="4711", canonical_type="order", source="shop")
            assert head is not None
            versions = self.entities.history(head.id)
            assert self.entities.count() == 1
        assert [version.version for version in versions] == list(range(1, head.version + 1))
        assert versions[-1].content_hash == head.content_hash
        return versions

    def handle_one(self) -> None:
        """Receive a message and take it to its end, as a worker does."""
        [delivery] = self.queue.receive(INBOX, max_messages=1, visibility=timedelta(minutes=5))
        self.queue.settle(self.use_cases.handler().handle(self.function, [delivery]))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    if request.param == "memory":
        queue = InMemoryQueue(clock)
        store = InMemoryStore(queue=queue)
        yield Bench(queue, InMemoryUnitOfWorkFactory(store), store.relay_source, clock)
        return
    url = (
        f"sqlite:///{request.getfixturevalue('tmp_path')}/exchange.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    engine = create_engine_for(url)
    migrate.upgrade(engine)
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    yield Bench(SqlQueue(engine, clock), units, SqlOutboxRelaySource(engine), clock)
    engine.dispose()


def outcomes(persisted: Sequence[Persisted]) -> Counter[PersistOutcome]:
    return Counter(one.outcome for one in persisted)


def test_writers_of_different_contents_make_a_version_each(bench: Bench) -> None:
    persisted = all_at_once(lambda number: bench.persist({"n": number}), threads=WRITERS)
    assert outcomes(persisted) == {PersistOutcome.CREATED: 1, PersistOutcome.UPDATED: WRITERS - 1}
    assert sorted(one.version for one in persisted) == list(range(1, WRITERS + 1))
    assert {one.content_hash for one in bench.history()} == {one.change.content_hash for one in persisted}


def test_writers_of_one_content_make_one_version(bench: Bench) -> None:
    persisted = all_at_once(lambda _: bench.persist({"n": 1}), threads=WRITERS)
    assert outcomes(persisted) == {PersistOutcome.CREATED: 1, PersistOutcome.UNCHANGED: WRITERS - 1}
    assert len(bench.history()) == 1


def test_writers_who_take_turns_in_going_back_make_a_version_for_each_change_and_none_without(
    bench: Bench,
) -> None:
    persisted = all_at_once(lambda number: bench.persist("AB"[number % 2]), threads=WRITERS)
    hashes = [version.content_hash for version in bench.history()]
    assert len(hashes) == sum(one.outcome.wrote_version for one in persisted) >= 2
    assert all(one != next_ for one, next_ in pairwise(hashes))


def test_of_writers_that_expect_one_version_one_wins(bench: Bench) -> None:
    bench.persist({"n": "first"})
    persisted = all_at_once(lambda number: bench.persist({"n": number}, expected_version=1), threads=WRITERS)
    assert outcomes(persisted) == {PersistOutcome.UPDATED: 1, PersistOutcome.CONFLICT: WRITERS - 1}
    assert len(bench.history()) == 2


def test_of_writers_that_expect_nothing_there_one_creates(bench: Bench) -> None:
    persisted = all_at_once(lambda number: bench.persist({"n": number}, expected_version=0), threads=WRITERS)
    assert outcomes(persisted) == {PersistOutcome.CREATED: 1, PersistOutcome.CONFLICT: WRITERS - 1}
    assert len(bench.history()) == 1


def test_the_newest_of_the_source_stays_whoever_comes_last(bench: Bench) -> None:
    persisted = all_at_once(
        lambda number: bench.persist({"n": number}, source_version=number), threads=WRITERS
    )
    newest = persisted[-1]
    assert newest.outcome.wrote_version
    assert bench.history()[-1].content_hash == newest.change.content_hash
    written = sum(one.outcome.wrote_version for one in persisted)
    assert outcomes(persisted)[PersistOutcome.STALE] == WRITERS - written


def test_messages_that_change_one_entity_at_the_same_time_all_come_through(bench: Bench) -> None:
    sent = [
        bench.use_cases.sender().send(INBOX, {"n": number}, tenant_id=CUSTOMER) for number in range(WRITERS)
    ]
    all_at_once(lambda _: bench.handle_one(), threads=WRITERS)
    assert {one.outcome for one in bench.observer.summaries} == {Outcome.COMPLETED}
    assert {one.message_id for one in bench.history()} == {message.id for message in sent}
    assert bench.queue.depths() == {DONE: WRITERS}
