"""The decision table: what becomes of a delivery, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from dependency_injector import providers
from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core import (
    DeferError,
    Exchange,
    Exclusive,
    Function,
    Message,
    OnLost,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryableError,
    RetryPolicy,
)
from api_exchange_core.application.claims import Unkept
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import Harness, SeededRandomness
from api_exchange_testing.container import in_memory_container

TENANT = TenantId("customer-a")
INBOX = QueueName("inbox")
HALF = timedelta(minutes=1)
"""What the longest backoff of a first attempt comes to, with the dice as they are cast here."""

Step = Callable[[Message, ProcessorContext], ProcessingResult]


class Order(BaseModel):
    id: str


class Does(ProcessorInterface):
    def __init__(self, step: Step) -> None:
        self.step = step
        self.calls = 0

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.calls += 1
        return self.step(message, context)


class Typed(Does):
    payload_model = Order


class Dice(SeededRandomness):
    """Always the middle."""

    @override
    def fraction(self) -> float:
        return 0.5


class Desk(Harness):
    """A harness whose batches a test hands over one by one, with dice that are cast."""

    handler: ProcessorHandler

    def __init__(self, exchange: Exchange) -> None:
        container = in_memory_container(exchange)
        container.randomness.override(providers.Object(Dice(0)))
        super().__init__(exchange, container=container)
        self.handler = container.use_cases.handler()

    @property
    def function(self) -> Function:
        return self.exchange.functions[0]

    def receive(self) -> list[Delivery]:
        return list(self.queues.receive(INBOX, max_messages=10, visibility=timedelta(minutes=5)))

    def hand_over(self, **options: Any) -> list[Settlement]:
        return self.handler.handle(self.function, self.receive(), **options)


@dataclass(frozen=True)
class Row:
    """One row of the table: what happens, and how the delivery ends."""

    step: Step
    ends: Any
    payload: Any = None
    tenant: str = TENANT
    before: Callable[[Desk, Message], object] = lambda desk, message: None
    options: dict[str, Any] | None = None
    typed: bool = False
    calls: int = 1


def succeed(message: Message, context: ProcessorContext) -> ProcessingResult:
    return ProcessingResult.create_success()


def unchanged(message: Message, context: ProcessorContext) -> ProcessingResult:
    for _ in range(2):
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data={"n": 1})
    return ProcessingResult.create_success()


def raising(error: Exception) -> Step:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        raise error

    return step


def failing(**options: Any) -> Step:
    return lambda message, context: ProcessingResult.create_failure("no", **options)


def process_once(desk: Desk, message: Message) -> None:
    desk.queues.settle(desk.hand_over())
    publish(desk, message)


def publish(desk: Desk, message: Message, body: bytes | None = None) -> None:
    body = encode(message) if body is None else body
    desk.queues.publish(
        [Outgoing(queue=INBOX, tenant_id=message.tenant_id, message_id=message.id, body=body)]
    )


def replaced_by(change: Callable[[bytes], bytes]) -> Callable[[Desk, Message], None]:
    def before(desk: Desk, message: Message) -> None:
        desk.queues.settle([Settlement(one, Complete()) for one in desk.receive()])
        publish(desk, message, change(encode(message)))

    return before


def disabled(desk: Desk, message: Message) -> None:
    desk.tenants.set_enabled(TENANT, enabled=False)


def on_its_last_attempt(desk: Desk, message: Message) -> None:
    replaced_by(lambda body: encode(replace(message, attempt=3)))(desk, message)


class Killed(BaseException):
    """The process ends here."""


def dies(step: Step) -> Step:
    """Ends its process at the first call."""
    calls = iter([Killed()])

    def first_dies(message: Message, context: ProcessorContext) -> ProcessingResult:
        for end in calls:
            raise end
        return step(message, context)

    return first_dies


def killed(desk: Desk, message: Message) -> None:
    with pytest.raises(Killed):
        desk.hand_over()


def killed_and_ran_out(desk: Desk, message: Message) -> None:
    killed(desk, message)
    desk.clock.advance(timedelta(minutes=5))


def killed_while_others_have_a_copy(desk: Desk, message: Message) -> None:
    killed(desk, message)
    publish(desk, message)


POLICY: dict[str, Any] = {"retry": RetryPolicy(max_attempts=3, base_delay=2 * HALF)}

TABLE = {
    "success": Row(succeed, Complete()),
    "duplicate": Row(succeed, Complete(), before=process_once),
    "unchanged": Row(unchanged, Complete(), before=process_once),
    "RetryableError": Row(raising(RetryableError("busy")), Retry(HALF)),
    "RetryableError that names its wait": Row(
        raising(RetryableError("busy", retry_after=timedelta(hours=3))), Retry(timedelta(hours=3))
    ),
    "a result that failed": Row(failing(), Retry(HALF)),
    "a result that names its wait": Row(failing(retry_after=timedelta(hours=2)), Retry(timedelta(hours=2))),
    "timeout": Row(raising(TimeoutError()), Retry(HALF)),
    "connection lost": Row(raising(ConnectionResetError()), Retry(HALF)),
    "lost race": Row(raising(LostRaceError("first")), Retry(HALF)),
    "an error of anybody": Row(raising(KeyError("id")), Retry(HALF)),
    "invalid payload": Row(succeed, DeadLetter, payload={"no": "id"}, typed=True, calls=0),
    "PermanentError": Row(raising(PermanentError("no")), DeadLetter),
    "can_retry is False": Row(failing(can_retry=False), DeadLetter),
    "no result": Row(lambda message, context: None, DeadLetter),  # type: ignore[arg-type, return-value]  # the point
    "unknown tenant": Row(succeed, DeadLetter, tenant="customer-z", calls=0),
    "disabled tenant": Row(succeed, DeadLetter, before=disabled, calls=0),
    "attempts used up": Row(raising(RetryableError("busy")), DeadLetter, before=on_its_last_attempt),
    "rate limited": Row(
        raising(DeferError("limited", delay=timedelta(minutes=7))), Defer(timedelta(minutes=7))
    ),
    "rate limited on the last attempt": Row(
        raising(DeferError("limited", delay=timedelta(minutes=7))),
        Defer(timedelta(minutes=7)),
        before=on_its_last_attempt,
    ),
    "deferred for no time": Row(
        raising(DeferError("now", delay=timedelta(0))), Defer(timedelta(seconds=1.5))
    ),
    "deadline near": Row(succeed, Defer(timedelta(0)), options={"stop": lambda: True}, calls=0),
    "unreadable bytes": Row(succeed, DeadLetter, before=replaced_by(lambda _: b"\xff"), calls=0),
    "of a newer framework": Row(
        succeed,
        Defer(timedelta(minutes=5)),
        before=replaced_by(lambda body: body.replace(b'"envelopeversion":1', b'"envelopeversion":2')),
        calls=0,
    ),
}

EXCLUSIVE_TABLE = {
    "exclusive success": (OnLost.RERUN, Row(succeed, Complete())),
    "exclusive duplicate": (OnLost.RERUN, Row(succeed, Complete(), before=process_once)),
    "exclusive RetryableError": (OnLost.DEAD_LETTER, Row(raising(RetryableError("busy")), Retry(HALF))),
    "somebody else has the claim": (
        OnLost.RERUN,
        Row(dies(succeed), Defer(timedelta(minutes=5)), before=killed_while_others_have_a_copy),
    ),
    "the lease ran out: RERUN": (
        OnLost.RERUN,
        Row(dies(succeed), Complete(), before=killed_and_ran_out, calls=2),
    ),
    "the lease ran out: HOLD": (
        OnLost.HOLD,
        Row(dies(succeed), Defer(timedelta(minutes=1)), before=killed_and_ran_out),
    ),
    "the lease ran out: DEAD_LETTER": (
        OnLost.DEAD_LETTER,
        Row(dies(succeed), DeadLetter, before=killed_and_ran_out),
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_each_row_of_the_table_ends_as_it_says(row: Row) -> None:
    follow(row)


@pytest.mark.parametrize(("on_lost", "row"), EXCLUSIVE_TABLE.values(), ids=EXCLUSIVE_TABLE.keys())
def test_each_row_for_exclusive_functions_ends_as_it_says(on_lost: OnLost, row: Row) -> None:
    follow(row, exclusive=Exclusive(on_lost=on_lost))


def follow(row: Row, **declared: Any) -> None:
    processor = (Typed if row.typed else Does)(row.step)
    exchange = Exchange("shop", tenants=[TENANT])
    exchange.queue("step", INBOX, processor, **POLICY, **declared)
    desk = Desk(exchange)
    message = desk.send(INBOX, row.payload, tenant=row.tenant)
    row.before(desk, message)
    [settlement] = desk.hand_over(**(row.options or {}))
    ending = settlement.disposition
    assert (type(ending) if isinstance(ending, DeadLetter) else ending) == row.ends
    assert processor.calls == row.calls


def test_a_delivery_that_is_somebody_elses_by_now_is_not_settled_at_all() -> None:
    exchange = Exchange("shop", tenants=[TENANT])
    exchange.queue("step", INBOX, Does(succeed))
    desk = Desk(exchange)
    desk.send(INBOX, 1)

    class FindsAllLost(Unkept):
        @override
        def has_lost(self, delivery: Delivery) -> bool:
            return True

    assert desk.hand_over(keeper=FindsAllLost()) == []
    assert [event.name for event in desk.observer.events] == ["claim.lost"]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("coroutine", [False, True])
def test_what_has_not_begun_by_the_deadline_is_given_back_untouched(
    coroutine: bool, concurrency: int, exclusive: bool
) -> None:
    begun: list[int] = []

    class Counts(ProcessorInterface):
        @override
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            begun.append(context.attempt)
            return ProcessingResult.create_success()

    class CountsLater(ProcessorInterface):
        @override
        async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            begun.append(context.attempt)
            return ProcessingResult.create_success()

    exchange = Exchange("shop", tenants=[TENANT])
    processor = CountsLater if coroutine else Counts
    exchange.queue("step", INBOX, processor, concurrency=concurrency, exclusive=exclusive)
    desk = Desk(exchange)
    for number in range(8):
        desk.send(INBOX, number)
    settlements = desk.hand_over(stop=lambda: len(begun) >= 3)
    desk.queues.settle(settlements)
    endings = [settlement.disposition for settlement in settlements]
    assert 3 <= len(begun) < 3 + concurrency
    assert endings.count(Complete()) == len(begun)
    assert endings.count(Defer(timedelta(0))) == 8 - len(begun)
    desk.run()
    assert begun == [1] * 8
