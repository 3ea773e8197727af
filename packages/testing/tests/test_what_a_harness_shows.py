"""What a test can ask a harness after a run: entities, versions, counts, events, the outbox, what is held."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

import pytest

from api_exchange_core import (
    DeclarationError,
    Exchange,
    Exclusive,
    Message,
    OnLost,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
)
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_testing import Harness, InMemoryUnitOfWorkFactory
from api_exchange_testing.memory.outbox import DUE_AFTER

ACME = TenantId("acme")


class Record(ProcessorInterface):
    """Tracks the stock level in each message and tells the shop."""

    def __init__(self, source: str = "erp") -> None:
        self.source = source

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(
            external_id="A-7", canonical_type="stock", source=self.source, data=message.payload
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("shop"))
        return result


class Fails(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        raise RetryableError("the ERP is closed", retry_after=timedelta(hours=8))


class Killed(BaseException):
    """The process ends here."""


class DiesOnce(Record):
    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.runs += 1
        if self.runs == 1:
            raise Killed
        return super().process(message, context)


def harness_of(
    processor: ProcessorInterface, *, tenants: Sequence[str] = ("acme",), exclusive: bool | Exclusive = False
) -> Harness:
    exchange = Exchange("stock", tenants=tenants)
    retry = RetryPolicy(max_attempts=4)
    exchange.queue("record-stock", "levels", processor, retry=retry, exclusive=exclusive)
    return Harness(exchange)


def test_an_entity_is_shown_as_it_is_now_and_its_versions_as_they_came() -> None:
    harness = harness_of(Record())
    assert harness.entity("stock", "A-7") is None
    assert harness.versions("stock", "A-7") == ()
    for pieces in (3, 3, 5):
        harness.send("levels", {"pieces": pieces})
    harness.run()
    head, versions = harness.entity("stock", "A-7"), harness.versions("stock", "A-7")
    assert head is not None
    assert (head.key.source, head.version) == ("erp", 2)
    assert [version.version for version in versions] == [1, 2]
    assert versions[-1].content_hash == head.content_hash
    assert harness.entity("stock", "A-8") is None
    assert harness.entity("order", "A-7") is None


def test_an_entity_is_its_tenants() -> None:
    harness = harness_of(Record(), tenants=["acme", "other"])
    harness.send("levels", {}, tenant="acme")
    harness.run()
    assert harness.entity("stock", "A-7", tenant="acme") is not None
    assert harness.entity("stock", "A-7", tenant="other") is None
    with pytest.raises(TenantError, match="say tenant"):
        harness.entity("stock", "A-7")


def test_an_entity_of_several_sources_is_asked_for_with_its_source() -> None:
    exchange = Exchange("stock", tenants=["acme"])
    exchange.queue("record-erp", "of-erp", Record("erp"))
    exchange.queue("record-store", "of-store", Record("store"))
    harness = Harness(exchange)
    for queue in ("of-erp", "of-store"):
        harness.send(queue, {})
    harness.run()
    with pytest.raises(LookupError, match=r"say source=.*\['erp', 'store'\]"):
        harness.entity("stock", "A-7")
    head = harness.entity("stock", "A-7", source="store")
    assert head is not None
    assert head.key.source == "store"
    assert len(harness.versions("stock", "A-7", source="erp")) == 1


def test_counts_tell_how_often_each_functions_messages_ended_how() -> None:
    harness = harness_of(Fails())
    harness.send("levels", {})
    harness.run()
    assert harness.counts == {"record-stock": {"retry": 3, "dead_lettered": 1}}
    assert harness_of(Fails()).counts == {}


def test_hours_of_backoff_pass_in_milliseconds() -> None:
    harness = harness_of(Fails())
    harness.send("levels", {})
    began_at, began = harness.clock.now(), time.perf_counter()
    harness.run()
    assert harness.clock.now() - began_at >= timedelta(hours=24)
    assert time.perf_counter() - began < 2  # of real seconds, on a machine that does much else besides


def test_a_misspelt_queue_is_told_with_those_that_there_are() -> None:
    harness = harness_of(Record())
    assert harness.queue("shop") == []
    assert harness.queue("levels-dlq") == []
    for look in (harness.queue, harness.dead_letters):
        with pytest.raises(
            DeclarationError, match=r"queue 'shpo'.*Did you mean 'shop'\? Known: levels, levels-dlq, shop\."
        ):
            look("shpo")
    harness.send("elsewhere", {})
    assert len(harness.queue("elsewhere")) == 1


def test_what_a_dead_instance_left_in_its_outbox_is_relayed() -> None:
    harness = harness_of(Record())
    with InMemoryUnitOfWorkFactory(harness.store).begin(ACME) as unit:
        message = Outgoing(queue=QueueName("shop"), tenant_id=ACME, message_id=MessageId("1"), body=b"{}")
        line = OutgoingLine(tenant_id=ACME, name="stock.jsonl", line=b"{}")
        unit.outbox.add([message, line], now=harness.clock.now())
        unit.commit()
    assert harness.outbox == [message, line]
    began = harness.clock.now()
    harness.run()
    assert harness.outbox == []
    assert harness.queues.depths() == {"shop": 1}
    assert harness.files.lines(ACME, "stock.jsonl") == [b"{}"]
    assert harness.clock.now() == began + DUE_AFTER
    assert [event.facts["count"] for event in harness.events("chore.done")] == [2]
    assert harness.events("chore.error") == []
    assert [event.name for event in harness.events()] == ["chore.done"]


def test_an_exclusive_function_runs_again_after_its_process_has_died() -> None:
    harness = harness_of(DiesOnce(), exclusive=True)
    harness.send("levels", {"pieces": 3})
    with pytest.raises(Killed):
        harness.run()
    harness.run()
    assert harness.counts["record-stock"]["completed"] == 1
    assert len(harness.versions("stock", "A-7")) == 1


def test_a_run_leaves_held_messages_alone_until_somebody_has_decided() -> None:
    harness = harness_of(DiesOnce(), exclusive=Exclusive(on_lost=OnLost.HOLD))
    sent = harness.send("levels", {"pieces": 3})
    with pytest.raises(Killed):
        harness.run()
    harness.run()
    (held,) = harness.held.waiting(ACME)
    assert held.message_id == sent.id
    assert harness.queue("levels") == [sent]
    assert harness.run() == []
    harness.held.release(ACME, FunctionName("record-stock"), [sent.id])
    harness.run()
    assert harness.held.waiting(ACME) == []
    assert len(harness.queue("shop")) == 1
