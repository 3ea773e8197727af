"""Quick retries: within the attempt and the process, as far as the budget goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from api_exchange_core import (
    DeclarationError,
    DeferError,
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryableError,
    RetryPolicy,
)
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.observer import Handled, Outcome
from api_exchange_testing import Harness

QUICK = RetryPolicy(max_attempts=2, quick_retries=3, quick_budget=timedelta(seconds=1))
FAR = timedelta(hours=1)


class Fails(ProcessorInterface):
    """Raises what it is told, one error a call, and then works."""

    def __init__(self, errors: Iterable[Exception], spends: Callable[[], object] = int) -> None:
        self.errors = iter(errors)
        self.spends = spends
        self.seen: list[Any] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        payload: Any = message.payload
        self.seen.append((context.attempt, dict(payload)))
        payload["spoilt"] = True
        context.persist_entity(
            external_id=str(len(self.seen)), canonical_type="order", source="shop", data=payload
        )
        self.spends()
        for error in self.errors:
            raise error
        return ProcessingResult.create_success()


class FailsLater(Fails):
    """The same as a coroutine."""

    @override
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # type: ignore[override]  # a processor may be either
        await asyncio.sleep(0)
        return super().process(message, context)


def handled(processor: Fails, policy: RetryPolicy = QUICK, **options: Any) -> tuple[Harness, list[Handled]]:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("step", "inbox", processor, retry=policy, **options)
    harness = Harness(exchange)
    harness.send("inbox", {"n": 1})
    return harness, list(harness.run())


def busy(times: int, **options: Any) -> list[Exception]:
    return [RetryableError("busy", **options) for _ in range(times)]


@pytest.mark.parametrize("kind", [Fails, FailsLater])
@pytest.mark.parametrize("exclusive", [False, True])
def test_what_passes_in_a_moment_costs_no_attempt_and_is_counted(kind: type[Fails], exclusive: bool) -> None:
    processor = kind(busy(3))
    _, [summary] = handled(processor, exclusive=exclusive)
    assert (summary.outcome, summary.attempt, summary.quick_retries) == (Outcome.COMPLETED, 1, 3)
    assert timedelta(0) < summary.duration < timedelta(seconds=1)
    assert summary.entities == 1, "of the calls that failed nothing is kept"
    assert processor.seen == [(1, {"n": 1})] * 4, "each call has the message as it came"


def test_after_the_last_quick_retry_the_message_waits_in_its_queue_as_ever() -> None:
    processor = Fails(busy(4))
    _, summaries = handled(processor)
    assert [(one.outcome, one.attempt, one.quick_retries) for one in summaries] == [
        (Outcome.RETRY, 1, 3),
        (Outcome.COMPLETED, 2, 0),
    ]


@pytest.mark.parametrize(
    "error",
    [
        PermanentError("no"),
        DeferError("limited", delay=timedelta(milliseconds=1)),
        RetryableError("busy", retry_after=timedelta(seconds=1)),
    ],
)
def test_what_does_not_pass_in_a_moment_is_not_tried_at_once(error: Exception) -> None:
    _, summaries = handled(Fails([error]))
    assert summaries[0].quick_retries == 0
    assert summaries[0].outcome is not Outcome.COMPLETED


def test_a_wait_that_the_error_asks_for_is_kept_if_it_fits_into_the_budget() -> None:
    wait = timedelta(milliseconds=400)
    _, summaries = handled(Fails(busy(3, retry_after=wait)))
    assert [(one.outcome, one.quick_retries) for one in summaries] == [
        (Outcome.RETRY, 2),
        (Outcome.COMPLETED, 0),
    ]
    assert summaries[0].duration == 2 * wait


def test_time_that_the_processor_itself_takes_is_of_the_budget_too() -> None:
    processor = Fails(busy(3))
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("step", "inbox", processor, retry=QUICK)
    harness = Harness(exchange)
    processor.spends = lambda: harness.clock.advance(QUICK.quick_budget)
    harness.send("inbox", {"n": 1})
    assert harness.run()[0].quick_retries == 0


def test_past_the_deadline_nothing_is_tried_again() -> None:
    processor = Fails(busy(3))
    exchange = Exchange("shop", tenants=["customer-a"])
    function = exchange.queue("step", "inbox", processor, retry=QUICK)
    harness = Harness(exchange)
    harness.send("inbox", {"n": 1})
    deliveries = harness.queues.receive(QueueName("inbox"), max_messages=1, visibility=FAR)
    harness._handler.handle(function, deliveries, stop=lambda: len(processor.seen) == 2)
    assert [(one.outcome, one.quick_retries) for one in harness.handled] == [(Outcome.RETRY, 1)]


def test_without_quick_retries_there_are_none() -> None:
    _, summaries = handled(Fails(busy(1)), RetryPolicy())
    assert [(one.attempt, one.quick_retries) for one in summaries] == [(1, 0), (2, 0)]


def test_only_the_last_error_of_an_attempt_is_recorded() -> None:
    harness, _ = handled(Fails(busy(4)))
    message_id = harness.handled[0].message_id
    assert message_id is not None
    entries = harness.store.of(TenantId("customer-a")).errors
    assert [entry.attempt for entry in entries] == [1]


@given(
    retries=st.integers(1, 10),
    budget=st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)),
    fraction=st.floats(0, 1, exclude_max=True),
)
def test_the_waits_of_all_quick_retries_take_at_most_half_of_the_budget(
    retries: int, budget: timedelta, fraction: float
) -> None:
    policy = RetryPolicy(quick_retries=retries, quick_budget=budget)
    waits = [
        policy.quick_delay(number, spent=timedelta(0), asked=None, random=lambda: fraction)
        for number in range(1, retries + 2)
    ]
    assert waits.pop() is None
    assert sum((wait for wait in waits if wait is not None), timedelta(0)) <= budget / 2 + timedelta(
        microseconds=retries
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"quick_retries": -1}, "whole number from 0 to 10, not -1"),
        ({"quick_retries": 11}, "not 11"),
        ({"quick_retries": True}, "not True"),
        ({"quick_budget": timedelta(0)}, "quick_budget must be a timedelta from above 0"),
        ({"quick_budget": timedelta(minutes=2)}, "not datetime.timedelta"),
    ],
)
def test_quick_retries_that_make_no_sense_cannot_be_declared(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        RetryPolicy(**arguments)
