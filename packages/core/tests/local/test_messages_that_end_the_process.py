"""A message whose attempts never come to an end: it must not come back for ever, nor take others along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dependency_injector import providers
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Exclusive,
    Message,
    OnLost,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
)
from api_exchange_core.application.held_messages import HeldMessages
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.envelope import decode, decode_failure
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_core.local.worker import Worker, WorkerLimits
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
from api_exchange_testing.memory.token_store import InMemoryTokenStore

INBOX = QueueName("inbox")
CUSTOMER = TenantId("customer-a")
VISIBILITY = timedelta(minutes=5)


class ProcessKilled(BaseException):
    """What stands here for the end of the process: nothing after it runs, nothing is settled."""


class KilledBy(ProcessorInterface):
    """Ends its process when it sees the poison."""

    def __init__(self) -> None:
        self.runs: list[Any] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.runs.append(message.payload)
        if message.payload == "poison":
            raise ProcessKilled
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("done"))
        return result


class Bench:
    """One function, and its worker in one process after the other."""

    def __init__(self, **options: Any) -> None:
        exchange = Exchange("shop", tenants=[CUSTOMER])
        function = exchange.queue("step", INBOX, KilledBy(), **options)
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.queue = InMemoryQueue(self.clock)
        store = InMemoryStore(queue=self.queue)
        self.units = InMemoryUnitOfWorkFactory(store)
        tenants = InMemoryTenantDirectory()
        tenants.add([CUSTOMER], now=self.clock.now())
        self.use_cases = UseCases(
            exchange=providers.Object(exchange),
            clock=providers.Object(self.clock),
            token_store=providers.Object(InMemoryTokenStore(self.clock)),
            randomness=providers.Object(SeededRandomness(0)),
            observer=providers.Object(RecordingObserver()),
            units=providers.Object(self.units),
            tenants=providers.Object(tenants),
            publisher=providers.Object(self.queue),
            files=providers.Object(InMemoryFileSink()),
            outbox=providers.Object(store.relay_source),
        )
        self.heartbeat = Heartbeat(RecordingObserver())
        self.worker = Worker(
            function=function,
            consumer=self.queue,
            handler=self.use_cases.handler(),
            clock=self.clock,
            observer=RecordingObserver(),
            bell=Bell(),
            limits=WorkerLimits(visibility=VISIBILITY),
            heartbeat=self.heartbeat,
            stopping=lambda: False,
        )

    def send(self, payload: str) -> Message:
        return self.use_cases.sender().send(INBOX, payload, tenant_id=CUSTOMER)

    def work_until_at_rest(self) -> int:
        """How many processes it took, beside the last."""
        deaths = 0
        for _ in range(100):
            try:
                if not self.worker.work_once():
                    return deaths
            except ProcessKilled:
                deaths += 1
                self.clock.advance(VISIBILITY)
        pytest.fail("it comes back for ever")

    def done(self) -> set[str]:
        return {str(decode(message.body).payload) for message in self.queue.messages(QueueName("done"))}


NewBench = Callable[..., Bench]


@pytest.fixture
def new_bench() -> Iterator[NewBench]:
    made: list[Bench] = []

    def new(**options: Any) -> Bench:
        made.append(Bench(**options))
        return made[-1]

    yield new
    for bench in made:
        bench.heartbeat.close()


def test_it_ends_as_a_dead_letter_and_the_others_of_its_batch_are_processed(new_bench: NewBench) -> None:
    bench = new_bench(retry=RetryPolicy(max_attempts=3))
    for payload in ("first", "poison", "second", "third"):
        bench.send(payload)
    assert 3 <= bench.work_until_at_rest() <= 7
    assert bench.done() == {"first", "second", "third"}
    [letter] = bench.queue.messages(QueueName("inbox-dlq"))
    failure = decode_failure(letter.body)
    assert decode(letter.body).payload == "poison"
    assert failure is not None
    assert "no run came to an end" in failure.reason


@pytest.mark.parametrize("on_lost", [OnLost.HOLD, OnLost.DEAD_LETTER])
def test_where_nothing_runs_twice_each_such_message_ends_one_process_and_takes_no_other_along(
    new_bench: NewBench, on_lost: OnLost
) -> None:
    bench = new_bench(exclusive=Exclusive(lease=VISIBILITY, on_lost=on_lost), retry=RetryPolicy.never())
    poison = [bench.send("poison") for _ in range(6)]
    bench.send("first")
    assert bench.work_until_at_rest() == 6
    assert bench.done() == {"first"}
    held = HeldMessages(bench.units).waiting(CUSTOMER)
    letters = [decode_failure(one.body) for one in bench.queue.messages(QueueName("inbox-dlq"))]
    if on_lost is OnLost.HOLD:
        assert ({one.message_id for one in held}, letters) == ({one.id for one in poison}, [])
    else:
        assert [None if one is None else one.code for one in letters] == ["LeaseRanOut"] * 6


def test_a_message_that_is_held_stays_so_however_many_processes_die_beside_it_and_holds_up_no_batch(
    new_bench: NewBench,
) -> None:
    bench = new_bench(exclusive=Exclusive(lease=VISIBILITY, on_lost=OnLost.HOLD), retry=RetryPolicy.never())
    bench.send("poison")
    bench.work_until_at_rest()
    for _ in range(10):  # received, and killed before anything was done
        bench.clock.advance(timedelta(minutes=5))
        assert bench.queue.receive(INBOX, max_messages=10, visibility=VISIBILITY)
    bench.clock.advance(timedelta(minutes=5))
    for payload in ("first", "second"):
        bench.send(payload)
    assert bench.worker.work_once() == 3
    assert bench.done() == {"first", "second"}
    assert len(HeldMessages(bench.units).waiting(CUSTOMER)) == 1
    assert not bench.queue.messages(QueueName("inbox-dlq"))
