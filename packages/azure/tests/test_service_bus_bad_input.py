"""What goes wrong with Service Bus: what is none of ours, not there, not allowed, too much, or too late."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage
from typing_extensions import override

from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.publisher import ServiceBusMessagePublisher
from api_exchange_azure.servicebus.senders import Senders
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Disposition, Retry, Settlement
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.servicebus import Policy, Queue, Right, ServiceBusBroker
from packages.azure.tests.namespace import LOCK, PREFIX, Namespace

_QUEUE = QueueName("orders-in")
_HOUR = timedelta(hours=1)


@pytest.fixture
def consumer(namespace: Namespace) -> Iterator[ServiceBusMessageConsumer]:
    consumer = namespace.consumer()
    yield consumer
    consumer.close()


def _outgoing(queue: QueueName = _QUEUE, delay: timedelta = timedelta(0)) -> Outgoing:
    return Outgoing(
        queue=queue,
        tenant_id=TenantId("customer-a"),
        message_id=MessageId("m-1"),
        body=b"{}",
        delay=delay,
    )


class _Wrong(Clock):
    """The clock of a machine that is wrong by so much."""

    def __init__(self, clock: Clock, by: timedelta) -> None:
        self._clock = clock
        self._by = by

    @override
    def now(self) -> datetime:
        return self._clock.now() + self._by


@pytest.mark.parametrize(
    ("value", "body"),
    [("Größe", "Größe".encode()), (b"\xff", b"\xff"), (7, b"7"), ({"a": [1]}, None)],
)
def test_a_value_of_a_stranger_is_bytes_that_can_be_put_aside(
    namespace: Namespace, consumer: ServiceBusMessageConsumer, value: Any, body: bytes | None
) -> None:
    with namespace.client.get_queue_sender(PREFIX + _QUEUE) as sender:
        sender.send_messages(AmqpAnnotatedMessage(value_body=value))
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    assert body is None or delivery.body == body
    consumer.settle([Settlement(delivery, DeadLetter(b"letter", reason="no message"))])
    assert namespace.broker.messages(PREFIX + _QUEUE) == ()
    assert [one.body for one in namespace.broker.messages(f"{PREFIX}{_QUEUE}-dlq")] == [b"letter"]


def test_a_sequence_of_a_stranger_is_bytes_too(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    with namespace.client.get_queue_sender(PREFIX + _QUEUE) as sender:
        sender.send_messages(AmqpAnnotatedMessage(sequence_body=[1, 2]))
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    assert delivery.body == b"[[1, 2]]"


def test_a_stranger_who_gives_no_id_and_properties_of_every_type_is_no_obstacle(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    strange: dict[str | bytes, Any] = {"number": 7, "yes": True, "api-exchange-notes": "["}
    with namespace.client.get_queue_sender(PREFIX + _QUEUE) as sender:
        sender.send_messages(ServiceBusMessage(b"\x00\xff", application_properties=strange))
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    assert (delivery.body, delivery.receive_count) == (b"\x00\xff", 1)
    consumer.settle([Settlement(delivery, Retry(_HOUR))])
    (copy,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert (copy.properties["number"], copy.properties["yes"]) == (7, True)


def test_a_queue_that_is_not_there_cannot_be_received_from(consumer: ServiceBusMessageConsumer) -> None:
    with pytest.raises(PermanentError, match="there is no queue 'test-nowhere'"):
        consumer.receive(QueueName("nowhere"), max_messages=1, visibility=LOCK)


def test_a_letter_without_its_queue_leaves_the_message(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    lonely = QueueName("orders-in-dlq")  # which has no queue for its own dead letters
    namespace.publisher.publish([_outgoing(lonely)])
    (delivery,) = consumer.receive(lonely, max_messages=1, visibility=LOCK)
    with pytest.raises(PermanentError, match="there is no queue 'test-orders-in-dlq-dlq'"):
        consumer.settle([Settlement(delivery, DeadLetter(b"letter", reason="dead"))])
    assert [one.state for one in namespace.broker.messages(PREFIX + lonely)] == ["locked"]


def test_who_may_not_send_or_receive_is_told_so(namespace: Namespace) -> None:
    policies = [Policy("reader", "a2V5", Right.LISTEN), Policy("writer", "a2V5", Right.SEND)]
    with ServiceBusBroker(queues=[Queue("orders-in")], policies=policies) as broker:
        reader, writer = (
            ServiceBusClient.from_connection_string(broker.connection_string_for(one.name), retry_total=0)
            for one in policies
        )
        publisher = ServiceBusMessagePublisher(Senders(reader), namespace.clock)
        with pytest.raises(PermanentError, match="Azure denies send on queue 'orders-in'"):
            publisher.publish([_outgoing()])
        consumer = ServiceBusMessageConsumer(
            writer, namespace.copies, namespace.clock, wait=timedelta(seconds=1)
        )
        with pytest.raises(PermanentError, match="Azure denies receive on queue 'orders-in'"):
            consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
        for client in (reader, writer):
            client.close()


def test_a_throttled_send_is_to_be_tried_again(namespace: Namespace) -> None:
    namespace.publisher.publish([_outgoing()])  # the link is open
    namespace.broker.faults.throttle(10)
    with pytest.raises(TransientError, match="throttles"):
        namespace.publisher.publish([_outgoing()])
    namespace.broker.faults.throttle(0)
    assert len(namespace.broker.messages(PREFIX + _QUEUE)) == 1


@pytest.mark.parametrize(
    "ending",
    [Complete(), Retry(timedelta(0)), Retry(_HOUR), Defer(_HOUR), DeadLetter(b"letter", reason="late")],
)
def test_a_lost_lock_leaves_the_message_as_it_is_and_sends_nothing(
    namespace: Namespace, consumer: ServiceBusMessageConsumer, ending: Disposition
) -> None:
    namespace.publisher.publish([_outgoing()])
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    namespace.broker.faults.lose_locks(PREFIX + _QUEUE)
    consumer.settle([Settlement(delivery, ending)])
    (left,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert (left.message_id, left.delivery_count) == ("customer-a/m-1", 1)
    assert namespace.broker.messages(f"{PREFIX}{_QUEUE}-dlq") == ()


# The client library leaves the socket of a lost connection to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ending", [Complete(), Defer(_HOUR), DeadLetter(b"letter", reason="late")])
def test_a_lost_connection_loses_no_message(ending: Disposition) -> None:
    namespace = Namespace.start()  # of its own, since all links are lost
    consumer = namespace.consumer()
    namespace.publisher.publish([_outgoing()])
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    namespace.broker.faults.drop_connections()
    with pytest.raises(TransientError):
        consumer.settle([Settlement(delivery, ending)])
    assert [one.state for one in namespace.broker.messages(PREFIX + _QUEUE)] == ["locked"]
    namespace.clock.advance(LOCK)
    with pytest.raises(TransientError):  # what is told of the link, which is opened anew with the next
        consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    (again,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    assert again.receive_count == 2
    consumer.close()
    namespace.stop()
    del namespace, consumer
    gc.collect()


@pytest.mark.parametrize(("wrong", "state"), [(-2 * _HOUR, "active"), (2 * _HOUR, "scheduled")])
def test_a_sender_whose_clock_is_wrong_delays_by_as_much_less_or_more_and_loses_nothing(
    namespace: Namespace, consumer: ServiceBusMessageConsumer, wrong: timedelta, state: str
) -> None:
    publisher = ServiceBusMessagePublisher(namespace.senders, _Wrong(namespace.clock, wrong))
    publisher.publish([_outgoing(delay=_HOUR)])
    assert [one.state for one in namespace.broker.messages(PREFIX + _QUEUE)] == [state]
    namespace.clock.advance(max(_HOUR + wrong, timedelta(0)))
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    assert delivery.receive_count == 1


def test_a_machine_whose_clock_is_ahead_of_every_lock_is_told_so(namespace: Namespace) -> None:
    consumer = ServiceBusMessageConsumer(
        namespace.client,
        namespace.copies,
        _Wrong(namespace.clock, _HOUR),
        prefix=PREFIX,
        wait=timedelta(seconds=1),
    )
    namespace.publisher.publish([_outgoing(), _outgoing()])
    with pytest.raises(TransientError, match="by the clock of this machine: set it"):
        consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    assert len(namespace.broker.messages(PREFIX + _QUEUE)) == 2
    consumer.close()
