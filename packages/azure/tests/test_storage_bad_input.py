"""What goes wrong with Storage Queues: what is none of ours, not there, not allowed, too much, or too late."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from azure.storage.queue import QueueServiceClient

from api_exchange_azure.storage.consumer import StorageQueueConsumer
from api_exchange_azure.storage.copies import StorageCopies
from api_exchange_azure.storage.publisher import StorageQueuePublisher
from api_exchange_azure.storage.queues import StorageQueues
from api_exchange_azure.storage.wire import MAX_BODY
from api_exchange_core.domain.delivery import (
    Complete,
    DeadLetter,
    Defer,
    Delivery,
    Disposition,
    Retry,
    Settlement,
)
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import VirtualClock
from packages.azure.tests.azurite.server import Azurite
from packages.azure.tests.throttled import Throttled

# The first to ask for it installs Node and Azurite, which takes a minute.
pytestmark = pytest.mark.timeout(600)

_QUEUE, _DEAD = QueueName("orders-in"), QueueName("orders-in-dlq")
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


class _Ends:
    """The ends of a transport on the stand-in, and the service beside them."""

    def __init__(self, azurite: Azurite) -> None:
        self.azurite = azurite
        self.service = QueueServiceClient.from_connection_string(azurite.connection_string)
        self.queues = StorageQueues(self.service, f"t{uuid4().hex[:8]}-")
        self.publisher = StorageQueuePublisher(self.queues)
        self.clock = VirtualClock(azurite.now())
        self.consumer = StorageQueueConsumer(self.queues, StorageCopies(self.queues), self.clock)
        for name in (_QUEUE, _DEAD):
            self.service.create_queue(self.queues.prefix + name)

    def send(self, text: str) -> None:
        self.queues[_QUEUE].send_message(text)

    def receive(self, queue: QueueName = _QUEUE) -> list[Delivery]:
        return list(self.consumer.receive(queue, max_messages=10, visibility=_MINUTE))

    def settle(self, delivery: Delivery, ending: Disposition) -> None:
        self.consumer.settle([Settlement(delivery, ending)])

    def advance(self, by: timedelta) -> None:
        self.azurite.advance(by)
        self.clock.advance(by)


@pytest.fixture
def ends(azurite: Azurite) -> _Ends:
    return _Ends(azurite)


def _outgoing(queue: QueueName = _QUEUE, body: bytes = b"{}") -> Outgoing:
    return Outgoing(queue=queue, tenant_id=TenantId("customer-a"), message_id=MessageId("m-1"), body=body)


@pytest.mark.parametrize("text", ["{}", "Größe", "not base64!", "e30=", "HnsKe30=", "&lt;a&gt;"])
def test_a_text_of_a_stranger_is_bytes_that_can_be_put_aside(ends: _Ends, text: str) -> None:
    ends.send(text)
    (delivery,) = ends.receive()
    assert delivery.body in (text.encode(), b"{}", b"\x1e{\n{}")
    ends.settle(delivery, DeadLetter(b"letter", reason="no message"))
    assert [one.body for one in ends.receive(_DEAD)] == [b"letter"]
    ends.advance(_MINUTE)
    assert ends.receive() == []


def test_a_queue_that_is_not_there_is_named(ends: _Ends) -> None:
    nowhere = QueueName("nowhere")
    missing = f"there is no queue '{ends.queues.prefix}nowhere'"
    with pytest.raises(PermanentError, match=missing):
        ends.publisher.publish([_outgoing(nowhere)])
    with pytest.raises(PermanentError, match=missing):
        ends.receive(nowhere)


def test_a_letter_without_its_queue_leaves_the_message(ends: _Ends) -> None:
    ends.send("e30=")
    (delivery,) = ends.receive()
    ends.service.delete_queue(ends.queues.prefix + _DEAD)
    with pytest.raises(PermanentError, match="there is no queue"):
        ends.settle(delivery, DeadLetter(b"letter", reason="dead"))
    ends.advance(_MINUTE)
    assert [one.receive_count for one in ends.receive()] == [2]


def test_who_has_no_key_is_denied(ends: _Ends) -> None:
    stranger = QueueServiceClient(
        str(ends.service.url), credential={"account_name": "devstoreaccount1", "account_key": "c3RyYW5nZXI="}
    )
    queues = StorageQueues(stranger, ends.queues.prefix)
    with pytest.raises(PermanentError, match="Azure denies send on queue"):
        StorageQueuePublisher(queues).publish([_outgoing()])
    with pytest.raises(PermanentError, match="Azure denies receive on queue"):
        StorageQueueConsumer(queues, StorageCopies(queues), ends.clock).receive(
            _QUEUE, max_messages=1, visibility=_MINUTE
        )


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_request_is_to_be_tried_again_and_loses_nothing(ends: _Ends, status: int) -> None:
    endings: list[Disposition] = [Complete(), Retry(_HOUR), DeadLetter(b"letter", reason="dead")]
    for _ in endings:
        ends.send("e30=")
    throttled = Throttled(status)
    service = QueueServiceClient.from_connection_string(
        ends.azurite.connection_string, transport=throttled, retry_total=0
    )
    queues = StorageQueues(service, ends.queues.prefix)
    consumer = StorageQueueConsumer(queues, StorageCopies(queues), ends.clock)
    deliveries = consumer.receive(_QUEUE, max_messages=3, visibility=_MINUTE)
    throttled.is_busy = True
    for delivery, ending in zip(deliveries, endings, strict=True):
        with pytest.raises(TransientError, match="throttles"):
            consumer.settle([Settlement(delivery, ending)])
    with pytest.raises(TransientError, match="throttles"):
        StorageQueuePublisher(queues).publish([_outgoing()])
    with pytest.raises(TransientError, match="throttles"):
        consumer.receive(_QUEUE, max_messages=1, visibility=_MINUTE)
    ends.advance(_MINUTE)
    assert [one.receive_count for one in ends.receive()] == [2, 2, 2]


def test_what_is_too_large_is_refused_before_it_is_sent(ends: _Ends) -> None:
    with pytest.raises(PermanentError, match=r"message 'm-1' to queue .* 49,152 is the limit"):
        ends.publisher.publish([_outgoing(body=b"x" * (MAX_BODY + 1))])


@pytest.mark.parametrize(
    "ending", [Complete(), Retry(_HOUR), Defer(_HOUR), DeadLetter(b"letter", reason="late")]
)
def test_a_lost_receipt_leaves_the_message_as_it_is_and_sends_nothing(
    ends: _Ends, ending: Disposition
) -> None:
    ends.send("e30=")
    (late,) = ends.receive()
    ends.azurite.advance(_MINUTE)
    elsewhere = StorageQueueConsumer(ends.queues, StorageCopies(ends.queues), ends.clock)
    (current,) = elsewhere.receive(_QUEUE, max_messages=1, visibility=_MINUTE)
    ends.settle(late, ending)
    assert ends.receive(_DEAD) == []
    elsewhere.settle([Settlement(current, Complete())])
    ends.advance(_HOUR)
    assert ends.receive() == []


@pytest.mark.parametrize("wrong", [-_HOUR, _HOUR])
def test_a_machine_whose_clock_is_wrong_delays_and_settles_as_any_other(
    ends: _Ends, wrong: timedelta
) -> None:
    consumer = StorageQueueConsumer(
        ends.queues, StorageCopies(ends.queues), VirtualClock(ends.clock.now() + wrong)
    )
    ends.send("e30=")
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=_MINUTE)
    consumer.settle([Settlement(delivery, Retry(_HOUR))])
    ends.advance(_HOUR - _MINUTE)
    assert ends.receive() == []
    ends.advance(_MINUTE)
    (again,) = consumer.receive(_QUEUE, max_messages=1, visibility=_MINUTE)
    consumer.settle([Settlement(again, Complete())])
    ends.advance(_MINUTE)
    assert ends.receive() == []


def test_what_nobody_settles_is_not_held_for_ever(ends: _Ends) -> None:
    for _ in range(3):
        ends.send("e30=")
        ends.receive()
        ends.queues[_QUEUE].clear_messages()
        ends.advance(2 * _MINUTE)
    ends.receive()
    assert len(ends.consumer.held) == 0


def test_what_is_settled_late_and_is_nobody_elses_is_settled(ends: _Ends) -> None:
    ends.send("e30=")
    (delivery,) = ends.receive()
    ends.advance(_MINUTE)
    ends.settle(delivery, Complete())
    assert ends.receive() == []
