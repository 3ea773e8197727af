"""What the claim check does when content is missing, damaged, shared or out of reach, and with dead letters."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core import Exchange, Message, ProcessingResult, ProcessorContext, ProcessorInterface
from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.domain.claim_check import PayloadClaim, claim_in
from api_exchange_core.domain.delivery import (
    Complete,
    DeadLetter,
    Defer,
    Delivery,
    Disposition,
    Retry,
    Settlement,
)
from api_exchange_core.domain.envelope import decode, decode_failure
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_testing import InMemoryPayloadStore, InMemoryQueue, VirtualClock
from api_exchange_testing.container import InMemoryContainer, in_memory_container
from api_exchange_testing.memory.profile import STORAGE_QUEUE

TENANT = TenantId("customer-a")
INBOX = QueueName("inbox")
LIMIT = 48 * 1024
LARGE = {"text": "x" * 100_000}
VISIBILITY = timedelta(minutes=1)


class Keep(ProcessorInterface):
    """Keeps what it is handed, and fails if it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[object] = []
        self.error = error

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.seen.append(message.payload)
        if self.error is not None:
            raise self.error
        return ProcessingResult.create_success()


class OutOfReach(InMemoryPayloadStore):
    @override
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        raise TransientError("the store of contents cannot be reached")


class SometimesOutOfReach(InMemoryPayloadStore):
    is_out_of_reach = False

    @override
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        if self.is_out_of_reach:
            raise TransientError("the store of contents cannot be reached")
        return super().get(tenant_id, claim)

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        if self.is_out_of_reach:
            raise TransientError("the store of contents cannot be reached")
        return super().put(tenant_id, content)


class Bench:
    """One function that reads a small queue with a claim check."""

    def __init__(self, processor: Keep, store: InMemoryPayloadStore) -> None:
        exchange = Exchange("shop", tenants=[TENANT])
        self.function: Function = exchange.queue("keep", INBOX, processor)
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.container: InMemoryContainer = in_memory_container(
            exchange, clock=self.clock, profile=STORAGE_QUEUE
        )
        self.queue: InMemoryQueue = self.container.queue()
        self.store = store
        claims = ClaimCheck(store, LIMIT)
        self.publisher = ClaimCheckPublisher(self.queue, claims)
        self.consumer = ClaimCheckConsumer(self.queue, claims)
        self.container.use_cases.publisher.override(self.publisher)

    def send(self, payload: object) -> Message:
        message: Message = self.container.use_cases.sender().send(INBOX, payload, tenant_id=TENANT)
        return message

    def receive(self) -> list[Delivery]:
        return list(self.consumer.receive(INBOX, max_messages=10, visibility=VISIBILITY))

    def work(self) -> None:
        self.consumer.settle(self.container.use_cases.handler().handle(self.function, self.receive()))

    @property
    def letters(self) -> list[bytes]:
        return [row.body for row in self.queue.messages(QueueName("inbox-dlq"))]


def test_a_large_message_is_processed_whole_and_its_small_envelope_is_what_was_queued() -> None:
    processor = Keep()
    bench = Bench(processor, InMemoryPayloadStore())
    bench.send(LARGE)
    (queued,) = bench.queue.messages(INBOX)
    assert len(queued.body) < 1_000
    bench.work()
    assert processor.seen == [LARGE]
    assert bench.queue.depths() == {}


def test_a_small_message_travels_whole() -> None:
    bench = Bench(Keep(), InMemoryPayloadStore())
    bench.send({"text": "x"})
    assert bench.store.held(TENANT) == 0
    bench.work()


def test_the_dead_letter_of_a_large_message_fits_its_queue_and_is_whole_when_it_comes_back() -> None:
    bench = Bench(Keep(PermanentError("no such order")), InMemoryPayloadStore())
    sent = bench.send(LARGE)
    bench.work()
    (letter,) = bench.letters
    failure = decode_failure(letter)
    assert failure is not None
    assert failure.code == "PermanentError"
    (delivery,) = bench.consumer.receive(QueueName("inbox-dlq"), max_messages=1, visibility=VISIBILITY)
    assert decode(delivery.body) == sent
    assert bench.store.held(TENANT) == 1


@pytest.mark.parametrize("damaged", [False, True])
def test_a_message_whose_content_is_gone_or_damaged_is_dead_lettered_with_its_claim(damaged: bool) -> None:
    processor = Keep()
    bench = Bench(processor, InMemoryPayloadStore())
    bench.send(LARGE)
    claim = claim_in(bench.queue.messages(INBOX)[0].body)
    assert claim is not None
    if damaged:
        bench.store.damage(TENANT, claim)
    else:
        bench.store.erase(TENANT, limit=1)
    bench.work()
    (letter,) = bench.letters
    failure = decode_failure(letter)
    assert failure is not None
    assert "kept apart" in failure.reason
    assert processor.seen == []


def test_a_message_whose_content_was_erased_with_its_tenant_is_dropped() -> None:
    processor = Keep()
    bench = Bench(processor, InMemoryPayloadStore())
    bench.send(LARGE)
    tenants = bench.container.tenants()
    tenants.set_enabled(TENANT, enabled=False)
    tenants.mark_erased(TENANT, now=bench.clock.now())
    bench.store.erase(TENANT, limit=1)
    bench.work()
    assert (bench.letters, processor.seen) == ([], [])
    assert bench.queue.depths() == {}


def test_an_envelope_that_claims_a_content_and_is_incomplete_is_dead_lettered() -> None:
    bench = Bench(Keep(), InMemoryPayloadStore())
    bench.send(LARGE)
    (queued,) = bench.queue.messages(INBOX)
    envelope = {name: value for name, value in json.loads(queued.body).items() if name != "source"}
    delivery = replace(bench.receive()[0], body=json.dumps(envelope).encode())
    (settlement,) = bench.container.use_cases.handler().handle(bench.function, [delivery])
    assert isinstance(settlement.disposition, DeadLetter)


def test_while_the_store_is_out_of_reach_messages_wait_in_their_queue() -> None:
    bench = Bench(Keep(), OutOfReach())
    bench.send(LARGE)
    with pytest.raises(TransientError, match="cannot be reached"):
        bench.receive()
    assert bench.queue.depths() == {INBOX: 1}


def test_a_message_whose_content_is_out_of_reach_holds_up_no_other_and_spends_no_attempt() -> None:
    bench = Bench(Keep(), store := SometimesOutOfReach())
    bench.send(LARGE)
    bench.send({"n": 1})
    store.is_out_of_reach = True
    (small,) = bench.receive()
    assert decode(small.body).payload == {"n": 1}
    store.is_out_of_reach = False
    bench.clock.advance(timedelta(minutes=2))
    (large,) = [one for one in bench.receive() if decode(one.body).payload == LARGE]
    assert large.receive_count == 1


def test_a_letter_that_cannot_be_kept_holds_up_the_end_of_no_other() -> None:
    bench = Bench(Keep(), store := SometimesOutOfReach())
    bench.send(LARGE)
    bench.send({"n": 1})
    large, small = sorted(bench.receive(), key=lambda one: -len(one.body))
    store.is_out_of_reach = True
    with pytest.raises(TransientError, match="cannot be reached"):
        bench.consumer.settle([Settlement(large, Defer(VISIBILITY)), Settlement(small, Complete())])
    assert bench.queue.depths() == {INBOX: 1}


def test_an_envelope_finds_no_content_of_another_tenant() -> None:
    bench = Bench(Keep(), InMemoryPayloadStore())
    bench.send(LARGE)
    (queued,) = bench.queue.messages(INBOX)
    stolen = queued.body.replace(b'"customer-a"', b'"customer-b"')
    delivery = Delivery(INBOX, stolen, receipt="1", receive_count=1)
    assert ClaimCheck(bench.store, LIMIT).redeemed(delivery) is delivery


class Old(InMemoryPayloadStore):
    """Notes what is written again."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[TenantId, bytes]] = []

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        self.written.append((tenant_id, content))
        return super().put(tenant_id, content)


def test_a_content_that_is_kept_anew_is_written_again() -> None:
    claims = ClaimCheck(store := Old(), 10)
    body = claims.checked_in(b'{"tenantid":"customer-a","data":"much content"}', TENANT)
    claims.keep_anew(body)
    assert store.written == [(TENANT, b'"much content"')] * 2


@pytest.mark.parametrize("body", [b"no message", b'{"data":1}', b'{"dataref":"https://files.example/7"}'])
def test_what_claims_nothing_of_ours_is_not_kept_anew(body: bytes) -> None:
    ClaimCheck(store := Old(), 10).keep_anew(body)
    assert store.written == []


def test_a_content_that_is_lost_is_not_kept_anew() -> None:
    body = ClaimCheck(InMemoryPayloadStore(), 10).checked_in(
        b'{"tenantid":"customer-a","data":"much content"}', TENANT
    )
    ClaimCheck(store := Old(), 10).keep_anew(body)
    assert store.written == []


@pytest.mark.parametrize("disposition", [Retry(VISIBILITY), Defer(VISIBILITY)])
def test_a_transport_that_sends_a_large_message_again_sends_its_claim(disposition: Disposition) -> None:
    bench = Bench(Keep(), InMemoryPayloadStore())
    bench.send(LARGE)
    claims = ClaimCheck(bench.store, LIMIT)
    (whole,) = bench.receive()
    settled = claims.settled(Settlement(whole, disposition))
    assert len(settled.delivery.body) < 1_000
    assert settled.delivery.receipt == whole.receipt
    assert claims.redeemed(settled.delivery).body == whole.body
    done = Settlement(whole, Complete())
    assert claims.settled(done) is done
