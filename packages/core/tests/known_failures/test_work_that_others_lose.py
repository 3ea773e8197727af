"""Ways in which frameworks of this kind have lost work, each as it happened there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from dependency_injector import providers
from sqlalchemy import Table, func, select
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryPolicy,
    tenant_context,
)
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for, reading
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.schema import entities, entity_versions
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.application.processor_handler import never
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.envelope import decode_failure
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_core.local.worker import Worker, WorkerLimits
from api_exchange_testing import (
    Harness,
    InMemoryFileSink,
    InMemoryTenantDirectory,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
)
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.memory.token_store import InMemoryTokenStore

CUSTOMER = TenantId("customer-a")
INBOX = QueueName("inbox")


class Step(ProcessorInterface):
    """Persists what it is sent; a payload without an id fails for now."""

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        payload = message.payload
        if not isinstance(payload, dict):
            raise TimeoutError("the other side is asleep")
        context.persist_entity(
            external_id=str(payload["id"]), canonical_type="order", source="shop", data=payload
        )
        return ProcessingResult.create_success()


class Database:
    """A database that any number of processes work on, each with its own use cases."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine_for(url)
        migrate.upgrade(self.engine)
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.queue = SqlQueue(self.engine, self.clock)

    def process(self) -> tuple[UseCases, Worker]:
        """A process that was just started."""
        exchange = Exchange("shop", tenants=[CUSTOMER])
        function = exchange.queue("step", INBOX, Step, retry=RetryPolicy(max_attempts=3))
        tenants = InMemoryTenantDirectory()
        tenants.add([CUSTOMER], now=self.clock.now())
        observer = RecordingObserver()
        use_cases = UseCases(
            exchange=providers.Object(exchange),
            clock=providers.Object(self.clock),
            token_store=providers.Object(InMemoryTokenStore(self.clock)),
            randomness=providers.Object(SeededRandomness(0)),
            observer=providers.Object(observer),
            units=providers.Object(SqlUnitOfWorkFactory(self.engine, queues_here=True)),
            tenants=providers.Object(tenants),
            publisher=providers.Object(self.queue),
            files=providers.Object(InMemoryFileSink()),
            outbox=providers.Object(SqlOutboxRelaySource(self.engine)),
        )
        worker = Worker(
            function=function,
            consumer=self.queue,
            handler=use_cases.handler(),
            clock=self.clock,
            observer=observer,
            bell=Bell(),
            heartbeat=Heartbeat(observer),
            limits=WorkerLimits(batch=10),
            stopping=never,
        )
        return use_cases, worker

    def count(self, table: Table) -> int:
        with reading(self.engine) as connection:
            number: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return number


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.engine.dispose()


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_400_changes_of_50_entities_by_several_workers_are_400_versions(
    database: Database, workers: int
) -> None:
    use_cases, _ = database.process()
    for number in range(400):
        use_cases.sender().send(INBOX, {"id": number % 50, "n": number}, tenant_id=CUSTOMER)
    processes = [worker for _, worker in (database.process() for _ in range(workers))]

    def work(number: int) -> int:
        return sum(iter(processes[number].work_once, 0))

    assert sum(all_at_once(work, threads=workers)) == 400
    assert (database.count(entities), database.count(entity_versions)) == (50, 400)
    with reading(database.engine) as connection:
        heads = connection.execute(select(entities.c.version)).scalars().all()
    assert Counter(heads) == {8: 50}


def test_attempts_are_counted_though_each_is_made_by_a_process_of_its_own(database: Database) -> None:
    use_cases, _ = database.process()
    use_cases.sender().send(INBOX, "no object", tenant_id=CUSTOMER)
    for _ in range(3):
        _, worker = database.process()
        assert worker.work_once() == 1
        database.clock.advance(timedelta(minutes=30))
    assert database.queue.depths() == {"inbox-dlq": 1}
    [letter] = database.queue.receive(QueueName("inbox-dlq"), max_messages=2, visibility=timedelta(0))
    failure = decode_failure(letter.body)
    assert failure is not None
    assert failure.attempts == 3


def test_one_message_that_fails_for_good_takes_no_other_with_it_and_leaves_nothing_half_done() -> None:
    class FailsLate(Step):
        @override
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            result = super().process(message, context)
            if isinstance(message.payload, dict) and message.payload["id"] == 7:
                raise PermanentError("found out after persisting")
            return result

    exchange = Exchange("shop", tenants=[CUSTOMER])
    exchange.queue("step", INBOX, FailsLate)
    harness = Harness(exchange)
    for number in range(10):
        harness.send(INBOX, {"id": number})
    harness.run()
    assert len(harness.dead_letters()) == 1
    with tenant_context(CUSTOMER):
        assert harness.entities.count() == 9
