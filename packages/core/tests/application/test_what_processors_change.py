"""A processor that changes the payload in place changes nothing but its own copy."""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
    tenant_context,
)
from api_exchange_testing import Harness


class TakesApart(ProcessorInterface):
    """Takes the id out of the payload, puts something else in, and then fails."""

    def __init__(self, instead: object) -> None:
        self.instead = instead

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        payload: Any = message.payload
        payload["instead"] = self.instead
        del payload["id"]
        raise ValueError("half way through")


class CountsUp(ProcessorInterface):
    """Raises the amount in place, and reads an outcome that another writer has overtaken by then."""

    harness: Harness
    overtaken = False

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        payload: Any = message.payload
        payload["amount"] += 1
        entity = context.persist_entity(external_id="1", canonical_type="order", source="shop", data=payload)
        assert entity.version > 0
        if not self.overtaken:
            self.overtaken = True
            self.harness.entities.create_entity(
                external_id="1", canonical_type="order", source="shop", data={"amount": 100}
            )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("outbox"))
        return result


def harness_of(processor: ProcessorInterface, **options: Any) -> Harness:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("step", "inbox", processor, **options)
    return Harness(exchange)


class Scribbles(ProcessorInterface):
    """Writes into the payload, persists nothing, and forwards what came in."""

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        payload: Any = message.payload
        payload["scribble"] = float("nan")
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("outbox"))
        return result


def test_what_came_in_is_forwarded_as_it_came_in() -> None:
    harness = harness_of(Scribbles())
    harness.send("inbox", {"id": "1"})
    harness.run()
    assert [message.payload for message in harness.queue("outbox")] == [{"id": "1"}]


@pytest.mark.parametrize("instead", [2, object(), float("nan")])
def test_a_dead_letter_is_the_message_as_it_was_received(instead: object) -> None:
    harness = harness_of(TakesApart(instead), retry=RetryPolicy.never())
    sent = harness.send("inbox", {"id": "1"})
    harness.run()
    [(letter, failure)] = harness.dead_letters("inbox")
    assert letter == sent
    assert failure.code == "ValueError"


def test_a_processor_that_is_called_again_is_handed_the_message_as_it_was_received() -> None:
    processor = CountsUp()
    processor.harness = harness_of(processor)
    processor.harness.send("inbox", {"amount": 1})
    processor.harness.run()
    [message] = processor.harness.queue("outbox")
    assert message.payload == {"amount": 2}
    with tenant_context("customer-a"):
        assert processor.harness.entities.count() == 1
