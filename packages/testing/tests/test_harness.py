"""A whole exchange in memory: to rest, on a virtual clock, with redelivery and dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core import (
    DeclarationError,
    DeferError,
    EntityReference,
    Exchange,
    FileOutputHandler,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
    Schedule,
    TenantFromApiKey,
    tenant_context,
)
from api_exchange_core.domain.content_hash import ContentHasher, HashKey
from api_exchange_core.domain.errors import InvalidMessageError, TenantError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import Harness, VirtualClock

Step = Callable[[Message, ProcessorContext], ProcessingResult]


class Does(ProcessorInterface):
    """A processor that does what its test says, and remembers its attempts."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.attempts: list[int] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.attempts.append(context.attempt)
        return self.step(message, context)


class StockLevel(BaseModel):
    sku: str
    pieces: int


class Validating(ProcessorInterface):
    payload_model = StockLevel

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


class Concurrent(ProcessorInterface):
    @override
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        await asyncio.sleep(0)
        return record_stock(message, context)


def record_stock(message: Message, context: ProcessorContext) -> ProcessingResult:
    """Track the stock level in the message and tell the shop."""
    level = cast("dict[str, JsonValue]", message.payload)
    context.persist_entity(
        external_id=cast("str", level["sku"]), canonical_type="stock", source="erp", data=level
    )
    return sent_to("shop")


def sent_to(queue: str) -> ProcessingResult:
    result = ProcessingResult.create_success()
    result.add_output_handler(QueueOutputHandler(queue))
    return result


def failing(error: Exception, *, times: int = 10_000) -> Step:
    """A step that raises *error* so many times and then works."""
    left = iter(range(times))

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        if next(left, None) is not None:
            raise error
        return record_stock(message, context)

    return step


def harness_of(processor: ProcessorInterface, *, retry: RetryPolicy | None = None) -> Harness:
    exchange = Exchange("stock", tenants=["acme"])
    exchange.queue("record-stock", "levels", processor, retry=retry, sends_to=["shop"])
    return Harness(exchange)


def outcomes(harness: Harness) -> list[Outcome]:
    return [handled.outcome for handled in harness.handled]


LEVEL: dict[str, JsonValue] = {"sku": "Schlüssel-7", "pieces": 3}


def test_a_message_is_processed_and_its_output_waits_in_the_queue_it_was_sent_to() -> None:
    harness = harness_of(Does(record_stock))
    sent = harness.send("levels", LEVEL)
    assert harness.queue("levels") == [sent]
    handled = harness.run()
    (output,) = harness.queue("shop")
    assert (output.payload, output.causation_id, output.tenant_id) == (LEVEL, sent.id, "acme")
    assert [(one.outcome, one.new_versions, one.outputs) for one in handled] == [(Outcome.COMPLETED, 1, 1)]
    assert harness.queue("levels") == []


def test_a_chain_of_functions_runs_to_its_end() -> None:
    exchange = Exchange("stock", tenants=["acme"])
    exchange.queue("last", "shop", Does(lambda *_: sent_to("done")))
    exchange.queue("record-stock", "levels", Does(record_stock))
    harness = Harness(exchange)
    for pieces in range(25):
        harness.send("levels", {"sku": str(pieces), "pieces": pieces})
    harness.run()
    assert [cast("dict[str, int]", message.payload)["pieces"] for message in harness.queue("done")] == list(
        range(25)
    )


def test_what_was_handled_by_one_run_is_what_it_returns() -> None:
    harness = harness_of(Does(record_stock))
    harness.send("levels", LEVEL)
    harness.run()
    second = harness.send("levels", LEVEL)
    assert [one.message_id for one in harness.run()] == [second.id]
    assert len(harness.handled) == 2
    assert list(harness.run()) == []


def test_a_failed_message_is_delivered_again_until_it_works_and_takes_effect_once() -> None:
    processor = Does(failing(RetryableError("the ERP is down"), times=2))
    harness = harness_of(processor)
    harness.send("levels", LEVEL)
    harness.run()
    assert processor.attempts == [1, 2, 3]
    assert outcomes(harness) == [Outcome.RETRY, Outcome.RETRY, Outcome.COMPLETED]
    assert len(harness.queue("shop")) == 1
    with tenant_context("acme"):
        assert harness.entities.count() == 1


def test_a_day_of_backoff_passes_on_the_clock_and_not_in_the_test() -> None:
    harness = harness_of(Does(failing(RetryableError("closed", retry_after=timedelta(hours=8)), times=3)))
    began = harness.clock.now()
    harness.send("levels", LEVEL)
    harness.run()
    assert harness.clock.now() - began == timedelta(days=1)
    assert len(harness.queue("shop")) == 1


def test_backoff_stays_within_the_policy_of_the_function() -> None:
    policy = RetryPolicy(max_attempts=4, base_delay=timedelta(hours=1), max_delay=timedelta(hours=2))
    harness = harness_of(Does(failing(RetryableError("closed"))), retry=policy)
    began = harness.clock.now()
    harness.send("levels", LEVEL)
    harness.run()
    assert timedelta(0) < harness.clock.now() - began <= timedelta(hours=1 + 2 + 2)


def test_a_message_whose_attempts_are_used_up_is_a_dead_letter_with_its_failure() -> None:
    harness = harness_of(Does(failing(RetryableError("the ERP is down"))), retry=RetryPolicy(max_attempts=3))
    sent = harness.send("levels", LEVEL)
    harness.run()
    ((message, failure),) = harness.dead_letters()
    assert message == sent
    assert (failure.function, failure.queue, failure.attempts) == ("record-stock", "levels", 3)
    assert (failure.code, failure.reason) == ("RetryableError", "the ERP is down")
    assert failure.failed_at == harness.clock.now()
    assert harness.queue("levels") == []
    assert harness.queue("shop") == []


def test_dead_letters_of_one_queue_can_be_asked_for() -> None:
    harness = harness_of(Does(failing(PermanentError("unknown article"))))
    harness.send("levels", LEVEL)
    harness.run()
    assert len(harness.dead_letters("levels")) == 1
    assert harness.dead_letters("shop") == []


def test_a_permanent_error_is_a_dead_letter_at_once() -> None:
    processor = Does(failing(PermanentError("unknown article")))
    harness = harness_of(processor)
    harness.send("levels", LEVEL)
    harness.run()
    assert processor.attempts == [1]
    assert outcomes(harness) == [Outcome.DEAD_LETTERED]


def test_a_payload_that_does_not_fit_is_a_dead_letter_at_once() -> None:
    harness = harness_of(Validating())
    harness.send("levels", {"sku": "7", "pieces": "many"})
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert (failure.code, failure.attempts) == ("InvalidPayloadError", 1)


def test_bytes_that_are_no_message_are_a_dead_letter_without_message() -> None:
    harness = harness_of(Does(record_stock))
    publish(harness, b"\xff\x00 no message")
    harness.run()
    ((message, failure),) = harness.dead_letters()
    assert message is None
    assert failure.code == "InvalidMessageError"
    publish(harness, b"no message")
    with pytest.raises(InvalidMessageError):
        harness.queue("levels")


def test_a_message_that_arrives_twice_takes_effect_once() -> None:
    processor = Does(record_stock)
    harness = harness_of(processor)
    harness.send("levels", LEVEL)
    (queued,) = harness.queues.messages(QueueName("levels"))
    publish(harness, queued.body)
    harness.run()
    publish(harness, queued.body)
    harness.run()
    assert processor.attempts == [1]
    assert sorted(outcomes(harness)) == [Outcome.COMPLETED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert len(harness.queue("shop")) == 1
    with tenant_context("acme"):
        head = harness.entities.head(external_id="Schlüssel-7", canonical_type="stock", source="erp")
        assert head is not None
        assert head.version == 1


def test_a_worker_that_dies_without_settling_has_its_message_done_by_the_next() -> None:
    processor = Does(record_stock)
    harness = harness_of(processor)
    harness.send("levels", LEVEL)
    harness.queues.receive(QueueName("levels"), max_messages=10, visibility=timedelta(minutes=30))
    harness.run()
    assert processor.attempts == [2]
    assert len(harness.queue("shop")) == 1


def test_a_deferred_message_comes_back_and_no_attempt_is_spent() -> None:
    processor = Does(failing(DeferError("rate limited", delay=timedelta(hours=1)), times=30))
    harness = harness_of(processor, retry=RetryPolicy.never())
    began = harness.clock.now()
    harness.send("levels", LEVEL)
    harness.run()
    assert set(processor.attempts) == {1}
    assert harness.clock.now() - began == timedelta(hours=30)
    assert len(harness.queue("shop")) == 1


def test_a_delayed_output_is_waited_for() -> None:
    def tomorrow(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("levels-later", delay=timedelta(days=1)))
        return result

    exchange = Exchange("stock", tenants=["acme"])
    exchange.queue("put-off", "levels", Does(tomorrow))
    exchange.queue("record-stock", "levels-later", Does(record_stock))
    harness = Harness(exchange)
    began = harness.clock.now()
    harness.send("levels", LEVEL)
    harness.run()
    assert harness.clock.now() - began == timedelta(days=1)
    assert len(harness.queue("shop")) == 1


def test_an_async_processor_runs_like_any_other() -> None:
    harness = harness_of(Concurrent())
    harness.send("levels", LEVEL)
    harness.run()
    assert len(harness.queue("shop")) == 1


def test_lines_are_in_the_file_of_their_tenant() -> None:
    def exported(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(FileOutputHandler("exports/levels.jsonl"))
        return result

    harness = harness_of(Does(exported))
    harness.send("levels", LEVEL)
    harness.run()
    assert harness.files.names(TenantId("acme")) == ["exports/levels.jsonl"]
    (line,) = harness.files.lines(TenantId("acme"), "exports/levels.jsonl")
    assert "Schlüssel-7".encode() in line


def timers() -> Harness:
    exchange = Exchange("stock", tenants=["acme", "bolt"])
    exchange.timer("count", Schedule.every(hours=1), Does(lambda *_: sent_to("counted")))
    exchange.http("intake", "/levels", Does(record_stock), tenant=TenantFromApiKey())
    return Harness(exchange)


def test_a_tick_runs_once_for_each_tenant() -> None:
    harness = timers()
    assert list(harness.tick("count")) == ["acme", "bolt"]
    harness.run()
    assert sorted(message.tenant_id for message in harness.queue("counted")) == ["acme", "bolt"]


def test_a_tick_that_fires_twice_is_one_tick() -> None:
    harness = timers()
    at = datetime(2026, 7, 1, 6, tzinfo=UTC)
    harness.tick("count", at=at)
    harness.run()
    harness.tick("count", at=at)
    harness.run()
    assert len(harness.queue("counted")) == 2
    harness.tick("count", at=at + timedelta(hours=1))
    harness.run()
    assert len(harness.queue("counted")) == 4


def test_only_timers_tick() -> None:
    with pytest.raises(DeclarationError, match="no timer"):
        timers().tick("intake")
    with pytest.raises(DeclarationError, match="has no function 'unknown'"):
        timers().tick("unknown")


def test_a_disabled_tenant_has_no_ticks_and_its_messages_are_dead_letters() -> None:
    harness = timers()
    harness.tenants.set_enabled(TenantId("bolt"), enabled=False)
    assert list(harness.tick("count")) == ["acme"]
    harness.send("intake", LEVEL, tenant="bolt")
    harness.run()
    ((_, failure),) = harness.dead_letters("intake")
    assert failure.code == "TenantError"


def test_the_tenant_may_be_left_out_only_if_there_is_exactly_one() -> None:
    with pytest.raises(TenantError, match="declares 2 tenants"):
        timers().send("intake", LEVEL)
    with pytest.raises(TenantError, match="no tenant id"):
        timers().send("intake", LEVEL, tenant="not a tenant")


def test_an_entity_travels_with_the_message() -> None:
    harness = harness_of(Does(lambda *_: sent_to("shop")))
    reference = EntityReference("1", "7", "stock", "erp", 1, "acme")
    harness.send("levels", LEVEL, entity=reference)
    harness.run()
    assert [message.entity for message in harness.queue("shop")] == [reference]


def test_functions_that_send_to_each_other_for_ever_are_stopped_with_a_reason() -> None:
    harness = harness_of(Does(lambda *_: sent_to("levels")))
    harness.send("levels", LEVEL)
    with pytest.raises(RuntimeError, match=r"not at rest after 50 messages.*\{'levels': 1\}"):
        harness.run(max_messages=50)
    assert len(harness.handled) == 50


def test_a_run_that_comes_to_rest_with_its_last_message_is_at_rest() -> None:
    harness = harness_of(Does(record_stock))
    harness.send("levels", LEVEL)
    assert len(harness.run(max_messages=1)) == 1


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    def run(seed: int) -> list[object]:
        exchange = Exchange("stock", tenants=["acme"])
        exchange.queue("record-stock", "levels", Does(failing(RetryableError("down"), times=3)))
        harness = Harness(exchange, seed=seed)
        harness.send("levels", LEVEL)
        harness.run()
        return [harness.handled, harness.clock.now(), harness.queue("shop")]

    assert run(seed=1) == run(seed=1)
    assert run(seed=1) != run(seed=2)


def test_clock_and_hasher_can_be_handed_in() -> None:
    start = datetime(2031, 5, 1, tzinfo=UTC)
    exchange = Exchange("stock", tenants=["acme"])
    exchange.queue("record-stock", "levels", Does(record_stock))
    hasher = ContentHasher(key=HashKey("k1", b"0" * 32))
    harness = Harness(exchange, clock=VirtualClock(start), hasher=hasher)
    harness.send("levels", LEVEL)
    harness.run()
    with tenant_context("acme"):
        head = harness.entities.head(external_id="Schlüssel-7", canonical_type="stock", source="erp")
    assert head is not None
    assert head.content_hash.startswith("hmac-sha256:")
    assert head.updated_at == start


def test_volatile_fields_of_the_exchange_make_no_version() -> None:
    exchange = Exchange("stock", tenants=["acme"], volatile_fields={"stock": ["/counted_at"]})
    exchange.queue("record-stock", "levels", Does(record_stock))
    harness = Harness(exchange)
    for counted_at in ("08:00", "09:00"):
        harness.send("levels", {**LEVEL, "counted_at": counted_at})
    harness.run()
    assert len(harness.queue("shop")) == 1


def test_a_processor_that_cannot_be_made_stops_the_start() -> None:
    exchange = Exchange("stock", tenants=["acme"])
    exchange.queue("record-stock", "levels", Does)
    with pytest.raises(DeclarationError, match="could not be made"):
        Harness(exchange)


def publish(harness: Harness, body: bytes) -> None:
    """Put bytes into the queue of levels, past everything that makes messages."""
    harness.queues.publish(
        [
            Outgoing(
                queue=QueueName("levels"), tenant_id=TenantId("acme"), message_id=MessageId("raw"), body=body
            )
        ]
    )
