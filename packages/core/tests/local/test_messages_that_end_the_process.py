"""A message whose attempts never come to an end: it must not come back for ever, nor take others along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

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
    RetryPolicy,
)
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


def test_it_ends_as_a_dead_letter_and_the_others_of_its_batch_are_processed() -> None:
    processor = KilledBy()
    exchange = Exchange("shop", tenants=[CUSTOMER])
    function = exchange.queue("step", INBOX, processor, retry=RetryPolicy(max_attempts=3))
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    queue = InMemoryQueue(clock)
    store = InMemoryStore(queue=queue)
    tenants = InMemoryTenantDirectory()
    tenants.add([CUSTOMER], now=clock.now())
    use_cases = UseCases(
        exchange=providers.Object(exchange),
        clock=providers.Object(clock),
        randomness=providers.Object(SeededRandomness(0)),
        observer=providers.Object(RecordingObserver()),
        units=providers.Object(InMemoryUnitOfWorkFactory(store)),
        tenants=providers.Object(tenants),
        publisher=providers.Object(queue),
        files=providers.Object(InMemoryFileSink()),
        outbox=providers.Object(store.relay_source),
    )
    for payload in ("first", "poison", "second", "third"):
        use_cases.sender().send(INBOX, payload, tenant_id=CUSTOMER)
    heartbeat = Heartbeat(RecordingObserver())
    worker = Worker(
        function=function,
        consumer=queue,
        handler=use_cases.handler(),
        observer=RecordingObserver(),
        bell=Bell(),
        limits=WorkerLimits(visibility=VISIBILITY),
        heartbeat=heartbeat,
        stopping=lambda: False,
    )

    deaths = 0
    for _ in range(100):
        try:
            if not worker.work_once():
                break
        except ProcessKilled:
            deaths += 1
            clock.advance(VISIBILITY)
    else:
        pytest.fail("it comes back for ever")

    heartbeat.close()
    assert 3 <= deaths <= 7
    done = {str(decode(message.body).payload) for message in queue.messages(QueueName("done"))}
    assert done == {"first", "second", "third"}
    [letter] = queue.messages(QueueName("inbox-dlq"))
    failure = decode_failure(letter.body)
    assert decode(letter.body).payload == "poison"
    assert failure is not None
    assert "no run came to an end" in failure.reason
