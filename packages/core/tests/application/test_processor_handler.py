"""Handling messages: what is written and sent, and how each delivery ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from pydantic import BaseModel

from api_exchange_core import (
    FAIL,
    DeferError,
    Exchange,
    GatewayProcessor,
    Message,
    NoOutputHandler,
    PermanentError,
    PersistOutcome,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
    Routing,
    Rule,
    Schedule,
    current_tenant,
    field,
    operation,
    tenant_context,
)
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import Harness
from api_exchange_testing.memory.unit_of_work import InMemoryUnitOfWorkFactory

Step = Callable[[Message, ProcessorContext], ProcessingResult]


class Does(ProcessorInterface):
    """A processor that does what it is told, and counts."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.calls: list[Message] = []
        self.attempts: list[int] = []

    @operation("test.step")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.calls.append(message)
        self.attempts.append(context.attempt)
        return self.step(message, context)


def sent_on(*queues: str) -> ProcessingResult:
    result = ProcessingResult.create_success()
    for queue in queues:
        result.add_output_handler(QueueOutputHandler(queue))
    return result


def harness_of(processor: ProcessorInterface, **options: Any) -> Harness:
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.queue("step", "inbox", processor, **options)
    return Harness(exchange)


def persisting(**options: Any) -> Does:
    """Persists the payload under its id, and sends it on."""

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        payload: Any = message.payload
        context.persist_entity(
            external_id=payload["id"], canonical_type="order", source="shop", data=payload, **options
        )
        return sent_on("outbox")

    return Does(step)


# What is forwarded


def test_without_entities_or_messages_of_its_own_what_came_in_is_forwarded_as_a_child() -> None:
    harness = harness_of(Does(lambda message, context: sent_on("first", "second")))
    parent = harness.send("inbox", {"n": 1}, tenant="customer-a")
    harness.run()
    children = [*harness.queue("first"), *harness.queue("second")]
    assert [child.payload for child in children] == [{"n": 1}, {"n": 1}]
    assert len({parent.id, *(child.id for child in children)}) == 3
    for child in children:
        assert (child.tenant_id, child.correlation_id, child.causation_id) == (
            "customer-a",
            parent.correlation_id,
            parent.id,
        )
        assert child.source == "/shop/step"


def test_each_entity_that_got_a_version_is_forwarded_with_its_reference() -> None:
    harness = harness_of(persisting())
    harness.send("inbox", {"id": "1", "n": 1}, tenant="customer-a")
    harness.run()
    [message] = harness.queue("outbox")
    assert message.payload == {"id": "1", "n": 1}
    assert message.type == "order"
    assert message.entity is not None
    assert (message.entity.external_id, message.entity.version) == ("1", 1)


def test_its_own_messages_are_forwarded_and_nothing_else() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data={"n": 1})
        result = sent_on("outbox")
        result.add_output_message({"own": 1}, metadata={"channel": "web"})
        result.add_output_message({"own": 2})
        return result

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert [message.payload for message in harness.queue("outbox")] == [{"own": 1}, {"own": 2}]
    assert harness.queue("outbox")[0].metadata == {"channel": "web"}


def test_unchanged_content_makes_no_version_and_is_not_forwarded() -> None:
    harness = harness_of(persisting())
    for _ in range(5):
        harness.send("inbox", {"id": "1", "n": 1}, tenant="customer-a")
    harness.run()
    assert len(harness.queue("outbox")) == 1
    with tenant_context("customer-a"):
        head = harness.entities.head(external_id="1", canonical_type="order", source="shop")
    assert head is not None
    assert head.version == 1


def test_unchanged_content_is_forwarded_if_asked_for() -> None:
    harness = harness_of(persisting(forward_unchanged=True))
    for _ in range(2):
        harness.send("inbox", {"id": "1", "n": 1}, tenant="customer-a")
    harness.run()
    assert [m.entity.version for m in harness.queue("outbox") if m.entity] == [1, 1]


def test_content_that_goes_back_to_what_it_was_is_a_version_too() -> None:
    harness = harness_of(persisting())
    for n in (1, 2, 1):
        harness.send("inbox", {"id": "1", "n": n}, tenant="customer-a")
    harness.run()
    assert [m.entity.version for m in harness.queue("outbox") if m.entity] == [1, 2, 3]


def test_a_version_says_which_message_and_operation_made_it_and_keeps_no_content() -> None:
    harness = harness_of(persisting())
    message = harness.send("inbox", {"id": "1", "secret": "sauce"}, tenant="customer-a")
    harness.run()
    with tenant_context("customer-a"):
        head = harness.entities.head(external_id="1", canonical_type="order", source="shop")
        assert head is not None
        [version] = harness.entities.history(head.id)
    assert (version.message_id, version.correlation_id, version.operation) == (
        message.id,
        message.correlation_id,
        "test.step",
    )
    assert set(version.field_hashes) == {"id", "secret"}
    assert "sauce" not in repr(version)


def test_messages_without_a_handler_are_refused_and_not_dropped() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_message({"n": 1})
        return result

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    [(_, failure)] = harness.dead_letters("inbox")
    assert "NoOutputHandler" in failure.reason


def test_an_output_can_end_on_purpose() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_message({"n": 1})
        result.add_output_handler(NoOutputHandler())
        return result

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    [handled] = harness.run()
    assert (handled.outcome, handled.outputs) == (Outcome.COMPLETED, 0)


def test_a_delayed_output_waits() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("later", delay=timedelta(hours=1)))
        return result

    seen: list[Any] = []

    def look(message: Message, context: ProcessorContext) -> ProcessingResult:
        seen.append(context.now)
        return ProcessingResult.create_success()

    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("step", "inbox", Does(step))
    exchange.queue("look", "later", Does(look))
    harness = Harness(exchange)
    started = harness.clock.now()
    harness.send("inbox", {})
    harness.run()
    assert seen == [started + timedelta(hours=1)]


# Duplicates


def copy_of(message: Message) -> Outgoing:
    return Outgoing(
        queue=QueueName("inbox"), tenant_id=message.tenant_id, message_id=message.id, body=encode(message)
    )


def test_a_message_that_arrives_twice_takes_effect_once() -> None:
    processor = Does(lambda message, context: sent_on("outbox"))
    harness = harness_of(processor)
    message = harness.send("inbox", {"n": 1}, tenant="customer-a")
    harness.queues.publish([copy_of(message)])
    harness.run()
    harness.queues.publish([copy_of(message)])
    harness.run()
    assert len(harness.queue("outbox")) == 1
    assert len(processor.calls) == 1
    outcomes = [handled.outcome for handled in harness.handled]
    assert outcomes.count(Outcome.COMPLETED) == 1
    assert outcomes.count(Outcome.DUPLICATE) == 2


def test_a_message_that_is_completed_is_never_dead_lettered_however_often_it_comes() -> None:
    harness = harness_of(Does(lambda message, context: sent_on("outbox")))
    message = harness.send("inbox", {"n": 1}, tenant="customer-a")
    harness.run()
    harness.queues.publish([copy_of(replace(message, attempt=100))])
    assert [handled.outcome for handled in harness.run()] == [Outcome.DUPLICATE]
    assert harness.dead_letters() == []


def test_the_same_id_of_another_tenant_is_another_message() -> None:
    processor = Does(lambda message, context: sent_on("outbox"))
    harness = harness_of(processor)
    message = harness.send("inbox", {"n": 1}, tenant="customer-a")
    harness.queues.publish([copy_of(replace(message, tenant_id=TenantId("customer-b")))])
    harness.run()
    assert sorted(m.tenant_id for m in harness.queue("outbox")) == ["customer-a", "customer-b"]


def test_a_tick_that_fires_twice_is_one_message() -> None:
    processor = Does(lambda message, context: ProcessingResult.create_success())
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.timer("fetch", Schedule.every(minutes=5), processor)
    harness = Harness(exchange)
    at = harness.clock.now()
    harness.tick("fetch", at)
    harness.tick("fetch", at)
    harness.run()
    assert sorted(call.tenant_id for call in processor.calls) == ["customer-a", "customer-b"]


# Failures


class Order(BaseModel):
    id: str
    total: int


class Typed(Does):
    payload_model = Order


def test_a_payload_that_does_not_fit_is_dead_lettered_at_once_without_its_values() -> None:
    processor = Typed(lambda message, context: ProcessingResult.create_success())
    harness = harness_of(processor)
    harness.send("inbox", {"id": "1", "total": "hunter2"}, tenant="customer-a")
    harness.run()
    [(letter, failure)] = harness.dead_letters("inbox")
    assert (failure.code, failure.attempts) == ("InvalidPayloadError", 1)
    assert "total" in failure.reason
    assert "hunter2" not in failure.reason
    assert letter is not None
    assert letter.payload == {"id": "1", "total": "hunter2"}
    assert processor.calls == []


def raising(error: Exception) -> Does:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data={})
        raise error

    return Does(step)


@pytest.mark.parametrize("error", [ValueError("what"), RetryableError("busy"), TimeoutError()])
def test_an_error_that_may_pass_is_tried_again_and_then_dead_lettered(error: Exception) -> None:
    processor = raising(error)
    harness = harness_of(processor, retry=RetryPolicy(max_attempts=3))
    message = harness.send("inbox", {"n": 1}, tenant="customer-a")
    harness.run()
    assert processor.attempts == [1, 2, 3]
    [(letter, failure)] = harness.dead_letters("inbox")
    assert letter is not None
    assert replace(letter, attempt=1) == message
    assert (failure.function, failure.queue, failure.code, failure.attempts) == (
        "step",
        "inbox",
        type(error).__name__,
        3,
    )
    assert [handled.outcome for handled in harness.handled] == [
        Outcome.RETRY,
        Outcome.RETRY,
        Outcome.DEAD_LETTERED,
    ]
    with tenant_context("customer-a"):
        assert harness.entities.count() == 0


class Awaits(ProcessorInterface):
    """Raises what it is told from a coroutine."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        raise self.error


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError()])
@pytest.mark.parametrize("coroutine", [False, True])
def test_a_processor_that_exits_or_is_cancelled_has_failed_and_its_worker_goes_on(
    error: BaseException, coroutine: bool
) -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        raise error

    harness = harness_of(Awaits(error) if coroutine else Does(step), retry=RetryPolicy.never())
    for _ in range(2):
        harness.send("inbox", {}, tenant="customer-a")
        harness.run()
    assert [failure.code for _, failure in harness.dead_letters("inbox")] == [type(error).__name__] * 2


def test_what_failed_once_and_then_works_takes_effect_once() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data={"n": 1})
        if context.attempt < 3:
            raise RetryableError("busy")
        return sent_on("outbox")

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert len(harness.queue("outbox")) == 1
    assert harness.dead_letters() == []


def test_the_wait_that_an_error_asks_for_is_kept() -> None:
    times: list[Any] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        times.append(context.now)
        if len(times) == 1:
            raise RetryableError("busy", retry_after=timedelta(hours=3))
        return ProcessingResult.create_success()

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert times[1] - times[0] == timedelta(hours=3)


def test_a_deferred_message_comes_back_without_an_attempt_being_spent() -> None:
    processor = Does(lambda message, context: ProcessingResult.create_success())

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        if len(processor.calls) <= 10:
            raise DeferError("rate limited", delay=timedelta(minutes=1))
        return ProcessingResult.create_success()

    processor.step = step
    harness = harness_of(processor, retry=RetryPolicy(max_attempts=2))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert processor.attempts == [1] * 11
    assert harness.dead_letters() == []


@pytest.mark.parametrize(
    "step",
    [
        lambda message, context: ProcessingResult.create_failure("no", code="no-stock", can_retry=False),
        lambda message, context: (_ for _ in ()).throw(PermanentError("no")),
        lambda message, context: None,
    ],
    ids=["result", "error", "no result"],
)
def test_what_will_never_work_is_dead_lettered_at_once(step: Step) -> None:
    processor = Does(step)
    harness = harness_of(processor)
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert processor.attempts == [1]
    assert len(harness.dead_letters("inbox")) == 1


@pytest.mark.parametrize("data", [{"n": float("nan")}, {"n": {1, 2}}, {"n": b"x"}, {"n": "\ud800"}])
def test_content_without_a_json_form_is_dead_lettered_with_the_place(data: object) -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data=data)
        return sent_on("outbox")

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    [(_, failure)] = harness.dead_letters("inbox")
    assert failure.code == "UnrepresentableError"
    assert "/n" in failure.reason


def test_an_output_over_the_limit_dead_letters_its_cause_and_no_other_message_of_the_batch() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = sent_on("outbox")
        result.add_output_message("x" * 2_000_000 if message.payload == 1 else "small")
        return result

    harness = harness_of(Does(step))
    for n in range(3):
        harness.send("inbox", n, tenant="customer-a")
    harness.run()
    [(letter, failure)] = harness.dead_letters("inbox")
    assert letter is not None
    assert letter.payload == 1
    assert "limit" in failure.reason
    assert [m.payload for m in harness.queue("outbox")] == ["small", "small"]


def test_a_message_whose_effects_cannot_be_committed_is_settled_and_recorded_once() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = sent_on("outbox")
        result.add_output_message("x" * 2_000_000)
        return result

    harness = harness_of(Does(step))
    message = harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert [handled.outcome for handled in harness.handled] == [Outcome.DEAD_LETTERED]
    with InMemoryUnitOfWorkFactory(harness.store).begin(TenantId("customer-a")) as unit:
        assert len(unit.errors.of_message(message.id)) == 1


def test_one_failure_in_a_batch_leaves_the_others_alone() -> None:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        if message.payload == 3:
            raise PermanentError("three")
        return sent_on("outbox")

    harness = harness_of(Does(step))
    for n in range(6):
        harness.send("inbox", n, tenant="customer-a")
    harness.run()
    assert [m.payload for m in harness.queue("outbox")] == [0, 1, 2, 4, 5]
    assert len(harness.dead_letters("inbox")) == 1


@pytest.mark.parametrize("body", [b"\xff", b"{}", b"[1]", b""])
def test_unreadable_bytes_are_kept_as_a_dead_letter(body: bytes) -> None:
    harness = harness_of(Does(lambda message, context: ProcessingResult.create_success()))
    foreign = Outgoing(
        queue=QueueName("inbox"), tenant_id=TenantId("customer-a"), message_id=MessageId("x"), body=body
    )
    harness.queues.publish([foreign])
    harness.run()
    [(message, failure)] = harness.dead_letters("inbox")
    assert message is None
    assert failure.code == "InvalidMessageError"


def test_a_message_of_an_unknown_tenant_is_dead_lettered_and_never_processed() -> None:
    processor = Does(lambda message, context: sent_on("outbox"))
    harness = harness_of(processor)
    harness.send("inbox", {}, tenant="customer-z")
    harness.run()
    [(_, failure)] = harness.dead_letters("inbox")
    assert failure.code == "TenantError"
    assert processor.calls == []


def test_a_disabled_tenant_is_not_processed() -> None:
    processor = Does(lambda message, context: sent_on("outbox"))
    harness = harness_of(processor)
    harness.tenants.set_enabled(TenantId("customer-a"), enabled=False)
    harness.send("inbox", {}, tenant="customer-a")
    harness.send("inbox", {}, tenant="customer-b")
    harness.run()
    assert [call.tenant_id for call in processor.calls] == ["customer-b"]
    [(_, failure)] = harness.dead_letters("inbox")
    assert "disabled" in failure.reason


def test_a_message_of_a_newer_framework_waits() -> None:
    harness = harness_of(Does(lambda message, context: sent_on("outbox")))
    message = harness.send("elsewhere", {}, tenant="customer-a")
    newer = encode(message).replace(b'"envelopeversion":1', b'"envelopeversion":2')
    harness.queues.publish([replace(copy_of(message), body=newer)])
    with pytest.raises(RuntimeError, match="not at rest"):
        harness.run(max_messages=20)
    assert harness.dead_letters() == []
    assert harness.queues.depths()[QueueName("inbox")] == 1


# Outcomes that are read while the processor runs


def test_the_outcome_can_be_read_before_anything_is_written() -> None:
    told: list[tuple[str, PersistOutcome, int]] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        for n in (1, 1, 2):
            entity = context.persist_entity(
                external_id="1", canonical_type="order", source="shop", data={"n": n}
            )
            told.append((entity, entity.outcome, entity.version))
        return sent_on("outbox")

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert [(outcome, version) for _, outcome, version in told] == [
        (PersistOutcome.CREATED, 1),
        (PersistOutcome.UNCHANGED, 1),
        (PersistOutcome.UPDATED, 2),
    ]
    assert [m.entity.version for m in harness.queue("outbox") if m.entity] == [1, 2]


def test_a_processor_that_read_what_is_no_longer_true_is_called_again() -> None:
    told: list[PersistOutcome] = []
    between: list[Callable[[], object]] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        entity = context.persist_entity(external_id="1", canonical_type="order", source="shop", data={"n": 1})
        told.append(entity.outcome)
        while between:
            between.pop()()
        return sent_on("outbox")

    harness = harness_of(Does(step))

    def somebody_else() -> None:
        harness.entities.create_entity(external_id="1", canonical_type="order", source="shop", data={"n": 0})

    between.append(somebody_else)
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert told == [PersistOutcome.CREATED, PersistOutcome.UPDATED]
    assert [m.entity.version for m in harness.queue("outbox") if m.entity] == [2]


def test_a_conflict_and_a_stale_change_write_nothing_and_are_not_forwarded() -> None:
    outcomes: list[PersistOutcome] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        def persist(n: int, **options: Any) -> None:
            entity = context.persist_entity(
                external_id="1", canonical_type="order", source="shop", data={"n": n}, **options
            )
            outcomes.append(entity.outcome)

        persist(1, source_version=10)
        persist(2, source_version=9)
        persist(3, expected_version=7)
        persist(4, expected_version=1, source_version=11)
        return sent_on("outbox")

    harness = harness_of(Does(step))
    harness.send("inbox", {}, tenant="customer-a")
    harness.run()
    assert outcomes == [
        PersistOutcome.CREATED,
        PersistOutcome.STALE,
        PersistOutcome.CONFLICT,
        PersistOutcome.UPDATED,
    ]
    assert [m.payload for m in harness.queue("outbox")] == [{"n": 1}, {"n": 4}]


def test_a_late_change_is_stale_even_if_the_newer_one_changed_nothing() -> None:
    outcomes: list[PersistOutcome] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        n, source_version = cast("list[int]", message.payload)
        entity = context.persist_entity(
            external_id="1", canonical_type="order", source="shop", data=n, source_version=source_version
        )
        outcomes.append(entity.outcome)
        return sent_on("outbox")

    harness = harness_of(Does(step))
    for change in ([1, 5], [1, 7], [2, 6], [3, 8]):
        harness.send("inbox", change, tenant="customer-a")
        harness.run()
    assert outcomes == [
        PersistOutcome.CREATED,
        PersistOutcome.UNCHANGED,
        PersistOutcome.STALE,
        PersistOutcome.UPDATED,
    ]


# Side by side


class Waits(ProcessorInterface):
    """``async def``: waits until as many calls are under way as there are to be."""

    def __init__(self, together: int) -> None:
        self.together = together
        self.under_way = 0
        self.most = 0
        self.all_there = asyncio.Event()
        self.tenants: list[tuple[str, str]] = []

    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if self.under_way == self.together:
            self.all_there.set()
        await self.all_there.wait()
        await asyncio.sleep(0)
        self.tenants.append((current_tenant(), message.tenant_id))
        self.under_way -= 1
        if message.payload == "fail":
            raise PermanentError("as told")
        return sent_on("outbox")


def test_async_processors_of_a_batch_run_side_by_side_each_with_its_own_tenant() -> None:
    processor = Waits(together=4)
    harness = harness_of(processor, concurrency=4)
    for n in range(8):
        harness.send("inbox", "fail" if n == 2 else n, tenant="customer-a")
    harness.send("inbox", 9, tenant="customer-a")
    harness.run()
    assert processor.most == 4
    assert all(bound == own for bound, own in processor.tenants)
    assert len(harness.queue("outbox")) == 8
    assert len(harness.dead_letters("inbox")) == 1


def test_def_processors_of_a_batch_run_side_by_side_too() -> None:
    meeting = threading.Barrier(3, timeout=20)
    tenants: list[str] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        meeting.wait()
        tenants.append(current_tenant())
        return sent_on("outbox")

    harness = harness_of(Does(step), concurrency=3)
    for n in range(6):
        harness.send("inbox", n, tenant="customer-b")
    harness.run()
    assert tenants == ["customer-b"] * 6
    assert [m.payload for m in harness.queue("outbox")] == list(range(6))


# Gateways


def test_a_gateway_sends_the_message_on_as_it_is() -> None:
    gateway = GatewayProcessor(Routing([Rule(field("total") > 100, to="large")], default="small"))
    harness = harness_of(gateway)
    for total in (50, 500):
        harness.send("inbox", {"total": total}, tenant="customer-a")
    harness.run()
    assert [m.payload for m in harness.queue("large")] == [{"total": 500}]
    assert [m.payload for m in harness.queue("small")] == [{"total": 50}]


def test_a_message_that_no_rule_takes_is_dead_lettered_where_the_default_is_to_fail() -> None:
    gateway = GatewayProcessor(Routing([Rule(field("total") > 100, to="large")], default=FAIL))
    harness = harness_of(gateway)
    harness.send("inbox", {"total": 50}, tenant="customer-a")
    harness.run()
    [(letter, failure)] = harness.dead_letters("inbox")
    assert letter is not None
    assert (letter.payload, failure.code) == ({"total": 50}, "UnroutableError")
