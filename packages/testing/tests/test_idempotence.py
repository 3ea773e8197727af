from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core import (
    FileOutputHandler,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
)
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_testing import assert_idempotent
from api_exchange_testing.strategies import messages

ORDERS = st.fixed_dictionaries({"id": st.text(min_size=1, max_size=5).filter(lambda id_: "\x00" not in id_)})


class Persist(ProcessorInterface):
    """Right: what it makes follows from what it is handed."""

    def data(self, message: Message, context: ProcessorContext) -> object:
        return message.payload

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        assert isinstance(message.payload, dict)
        context.persist_entity(
            external_id=str(message.payload["id"]),
            canonical_type="order",
            source="shop",
            data=self.data(message, context),
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders"))
        result.add_output_handler(FileOutputHandler("orders.jsonl"))
        return result


class Counts(Persist):
    """Wrong: it counts in memory."""

    def __init__(self) -> None:
        self.calls = 0

    def data(self, message: Message, context: ProcessorContext) -> object:
        self.calls += 1
        return {"order": message.payload, "number": self.calls}


class StampsTheMessage(Persist):
    """Wrong: the content of an entity depends on which message told of it."""

    def data(self, message: Message, context: ProcessorContext) -> object:
        return {"order": message.payload, "told_by": message.id}


class Refuses(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        raise PermanentError("never")


class NotYet(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        raise RetryableError("not yet")


@given(messages(payload=ORDERS))
def test_a_processor_whose_effects_follow_from_its_message_is_idempotent(message: Message) -> None:
    assert_idempotent(Persist, message)


def test_a_processor_that_counts_in_memory_is_found(message: Message) -> None:
    with pytest.raises(AssertionError, match=r"makes other entities\n  order 'o-1'"):
        assert_idempotent(Counts, message)


def test_content_that_depends_on_the_message_is_found(message: Message) -> None:
    with pytest.raises(AssertionError, match="new versions of order 'o-1'"):
        assert_idempotent(StampsTheMessage(), message)


def test_a_field_that_is_declared_volatile_is_no_content(message: Message) -> None:
    assert_idempotent(StampsTheMessage, message, volatile_fields={"order": ["/told_by"]})


@pytest.mark.parametrize("processor", [Refuses, NotYet])
def test_a_message_that_is_not_processed_proves_nothing(
    processor: type[ProcessorInterface], message: Message
) -> None:
    with pytest.raises(AssertionError, match=r"nothing is known: .*Error"):
        assert_idempotent(processor, message)


@pytest.fixture
def message() -> Message:
    """A message about an order."""
    return Message(
        id=MessageId("m-1"),
        tenant_id=TenantId("customer-a"),
        source="/shop",
        payload={"id": "o-1"},
        time=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id="m-1",
    )
