"""Traces by whatever id is at hand, over adapters in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core import (
    Exchange,
    ProcessingResult,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
    operation,
)
from api_exchange_core.application.trace_request import Trace, TraceRequest
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_testing import (
    Harness,
    InMemoryEntityReports,
    InMemoryMessageReports,
    InMemoryStore,
    InMemoryUnitOfWorkFactory,
)

TENANT = TenantId("customer-a")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Fetch(ProcessorInterface):
    @operation("shop.fetch")
    def process(self, message: Any, context: Any) -> ProcessingResult:
        result = ProcessingResult.create_success()
        for number in range(3):
            context.persist_entity(
                external_id=f"order-{number}", canonical_type="order", source="shop", data={"number": number}
            )
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result


class Price(ProcessorInterface):
    def process(self, message: Any, context: Any) -> ProcessingResult:
        if message.payload["number"] == 1:
            raise ZeroDivisionError("no price for 4711")
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-priced"))
        return result


class Ship(ProcessorInterface):
    def process(self, message: Any, context: Any) -> ProcessingResult:
        return ProcessingResult.create_success()


@pytest.fixture
def harness() -> Harness:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("fetch", "start", Fetch)
    exchange.queue("price", "orders-fetched", Price, retry=RetryPolicy(max_attempts=2))
    exchange.queue("ship", "orders-priced", Ship)
    return Harness(exchange)


def use_case(store: InMemoryStore) -> TraceRequest:
    return TraceRequest(InMemoryMessageReports(store), InMemoryEntityReports(store))


def drawn(traces: Sequence[Trace]) -> list[list[tuple[int, str, str]]]:
    return [
        [(step.depth, step.message.function, step.message.state.value) for step in trace.steps]
        for trace in traces
    ]


def test_a_correlation_id_gives_the_whole_request(harness: Harness) -> None:
    message = harness.send("start", {})
    harness.run()
    (trace,) = use_case(harness.store).trace(message.correlation_id)
    shapes = drawn([trace])[0]
    assert shapes[0] == (0, "fetch", "completed")
    assert sorted(shapes[1:]) == [
        (1, "price", "completed"),
        (1, "price", "completed"),
        (1, "price", "dead"),
        (2, "ship", "completed"),
        (2, "ship", "completed"),
    ]
    assert trace.complete


def test_the_attempts_that_failed_stand_at_their_message(harness: Harness) -> None:
    message = harness.send("start", {})
    harness.run()
    (trace,) = use_case(harness.store).trace(message.id)
    failed = {step.message.state.value: step.failed for step in trace.steps if step.failed}
    assert list(failed) == ["dead"]
    assert [(one.attempt, one.problem.code, one.queue) for one in failed["dead"]] == [
        (1, "ZeroDivisionError", "orders-fetched"),
        (2, "ZeroDivisionError", "orders-fetched"),
    ]


def test_a_step_tells_its_operation_how_long_it_took_and_how_long_it_waited(harness: Harness) -> None:
    message = harness.send("start", {})
    harness.clock.advance(timedelta(seconds=7))
    harness.run()
    (trace,) = use_case(harness.store).trace(message.id)
    first = trace.steps[0].message
    assert (first.operation, first.waited, first.took) == ("shop.fetch", timedelta(seconds=7), timedelta(0))


def test_the_id_of_a_message_gives_what_led_to_it_and_what_came_of_it(harness: Harness) -> None:
    message = harness.send("start", {})
    harness.run()
    trace = use_case(harness.store)
    (whole,) = trace.trace(message.id)
    price = next(step.message for step in whole.steps if step.message.state.value == "dead")
    assert drawn(trace.trace(price.message_id)) == [[(0, "fetch", "completed"), (1, "price", "dead")]]
    ship = next(step.message for step in whole.steps if step.message.function == "ship")
    assert drawn(trace.trace(ship.message_id)) == [
        [(0, "fetch", "completed"), (1, "price", "completed"), (2, "ship", "completed")]
    ]


def test_an_entity_gives_the_messages_about_it_and_what_led_to_them(harness: Harness) -> None:
    harness.send("start", {})
    harness.run()
    trace = use_case(harness.store)
    dead, shipped = ([(0, "fetch", "completed"), (1, "price", state)] for state in ("dead", "completed"))
    assert drawn(trace.trace("order-1")) == [dead]
    assert drawn(trace.trace("order-2")) == [[*shipped, (2, "ship", "completed")]]
    entity = InMemoryEntityReports(harness.store).with_id
    ids = {step.message.entity_id for step in trace.trace("order-2")[0].steps} - {None}
    assert len(ids) == 1
    (id_,) = ids
    assert id_ is not None
    assert entity(id_) is not None
    assert drawn(trace.trace(id_)) == drawn(trace.trace("order-2"))


def test_what_nobody_has_heard_of_gives_nothing(harness: Harness) -> None:
    harness.send("start", {})
    harness.run()
    assert list(use_case(harness.store).trace("order-3")) == []
    assert list(use_case(harness.store).trace("order-1", tenant_id=TenantId("customer-b"))) == []


def test_a_request_of_more_messages_than_are_read_is_not_complete(harness: Harness) -> None:
    message = harness.send("start", {})
    harness.run()
    (trace,) = use_case(harness.store).trace(message.id, most=2)
    assert (len(trace.steps), trace.complete) == (2, False)


def entry(number: int, cause: int | None) -> JournalEntry:
    return JournalEntry(
        function=FunctionName("step"),
        message_id=MessageId(f"m{number}"),
        state=ProcessingState.COMPLETED,
        attempts=1,
        correlation_id="request",
        causation_id=None if cause is None else f"m{cause}",
        entity_id=None,
        started_at=NOW + timedelta(seconds=number),
        finished_at=NOW + timedelta(seconds=number),
    )


def traced(causes: Sequence[int | None]) -> Trace:
    store = InMemoryStore()
    with InMemoryUnitOfWorkFactory(store).begin(TENANT) as unit:
        unit.journal.complete([entry(number, cause) for number, cause in enumerate(causes)])
        unit.commit()
    (trace,) = use_case(store).trace("request")
    return trace


@given(st.lists(st.none() | st.integers(0, 12), min_size=1, max_size=10))
def test_every_message_is_shown_once_and_after_its_cause_even_where_causes_make_no_sense(
    causes: list[int | None],
) -> None:
    steps = traced(causes).steps
    assert sorted(step.message.message_id for step in steps) == sorted(f"m{n}" for n in range(len(causes)))
    for place, step in enumerate(steps):
        above = next((one for one in reversed(steps[:place]) if one.depth < step.depth), None)
        assert (above is None) == (step.depth == 0)
        assert above is None or above.message.message_id == step.message.causation_id


def test_a_chain_of_thousands_is_followed_to_its_end() -> None:
    steps = traced([None, *range(3_000)]).steps
    assert [step.depth for step in steps] == list(range(3_001))
