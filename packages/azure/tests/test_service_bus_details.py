"""What Service Bus is told beside what every transport is, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.inspector import ServiceBusQueueInspector
from api_exchange_core.domain.delivery import Complete, Retry, Settlement
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.conformance import PassingTime, QueueInspectorSuite, Transport
from packages.azure.tests.administration import Administration
from packages.azure.tests.namespace import IN_ORDER, LOCK, PREFIX, QUEUES, Namespace

_QUEUE = QueueName("orders-in")


def _outgoing(
    name: str, *, queue: QueueName = _QUEUE, key: str | None = None, body: bytes = b"{}"
) -> Outgoing:
    return Outgoing(
        queue=queue,
        tenant_id=TenantId("customer-a"),
        message_id=MessageId(name),
        body=body,
        ordering_key=key,
        properties={"kind": "express"},
    )


def test_the_brokers_id_is_the_tenants_and_the_messages(namespace: Namespace) -> None:
    namespace.publisher.publish([_outgoing("m-1")])
    (stored,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert (stored.message_id, stored.session_id) == ("customer-a/m-1", None)
    assert stored.properties == {"kind": "express"}


def test_an_ordering_key_is_a_session_and_what_has_none_is_alone_in_one(namespace: Namespace) -> None:
    messages = [
        _outgoing("m-1", queue=IN_ORDER, key="order-1"),
        _outgoing("m-2", queue=IN_ORDER, key="order-1"),
        _outgoing("m-3", queue=IN_ORDER),
    ]
    namespace.publisher.publish(messages)
    sessions = [stored.session_id for stored in namespace.broker.messages(PREFIX + IN_ORDER)]
    assert sessions == ["customer-a/key/order-1", "customer-a/key/order-1", "customer-a/m-3"]


def test_a_batch_larger_than_a_transfer_is_sent_in_several(namespace: Namespace) -> None:
    namespace.publisher.publish([_outgoing(f"m-{number}", body=b"x" * 100_000) for number in range(7)])
    assert len(namespace.broker.messages(PREFIX + _QUEUE)) == 7


def test_of_a_batch_with_a_message_that_is_too_large_none_is_sent(namespace: Namespace) -> None:
    batch = [_outgoing("m-1"), _outgoing("m-2", body=b"x" * 300_000), _outgoing("m-3")]
    with pytest.raises(PermanentError, match="customer-a/m-2"):
        namespace.publisher.publish(batch)
    assert namespace.broker.messages(PREFIX + _QUEUE) == ()


def test_a_queue_that_is_not_there_is_named(namespace: Namespace) -> None:
    with pytest.raises(PermanentError, match="there is no queue 'test-nowhere'"):
        namespace.publisher.publish([_outgoing("m-1", queue=QueueName("nowhere"))])


def test_a_copy_keeps_the_properties_of_its_message(namespace: Namespace) -> None:
    namespace.publisher.publish([_outgoing("m-1")])
    consumer = namespace.consumer()
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    consumer.settle([Settlement(delivery, Retry(timedelta(hours=1)))])
    (copy,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert (copy.state, copy.message_id) == ("scheduled", "customer-a/m-1/again-1")
    assert copy.properties["kind"] == "express"
    consumer.close()


def test_what_could_not_be_sent_again_is_not_completed(namespace: Namespace) -> None:
    namespace.publisher.publish([_outgoing("m-1")])
    consumer = namespace.consumer()
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    namespace.broker.faults.throttle(10)
    with pytest.raises(TransientError, match="throttles"):
        consumer.settle([Settlement(delivery, Retry(timedelta(hours=1)))])
    namespace.broker.faults.throttle(0)
    assert [one.state for one in namespace.broker.messages(PREFIX + _QUEUE)] == ["locked"]
    consumer.close()


def test_a_lost_lock_makes_completing_harmless(namespace: Namespace) -> None:
    namespace.publisher.publish([_outgoing("m-1")])
    consumer = namespace.consumer()
    (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
    namespace.broker.faults.lose_locks(PREFIX + _QUEUE)
    consumer.settle([Settlement(delivery, Complete())])
    assert len(namespace.broker.messages(PREFIX + _QUEUE)) == 1
    consumer.close()


@pytest.fixture(scope="module")
def consumer(namespace_of_module: Namespace) -> Iterator[ServiceBusMessageConsumer]:
    consumer = namespace_of_module.consumer()
    yield consumer
    consumer.close()


class TestInspector(QueueInspectorSuite):
    """Over HTTP, as the administration of a namespace is; the counts are of the broker's messages."""

    @pytest.fixture
    def clock(self, namespace: Namespace) -> PassingTime:
        return namespace.clock

    @pytest.fixture
    def transport(self, namespace: Namespace, consumer: ServiceBusMessageConsumer) -> Iterator[Transport]:
        names = [f"{PREFIX}{queue}{end}" for queue in QUEUES for end in ("", "-dlq")]
        with (
            Administration(namespace, names) as administration,
            administration.client() as client,
        ):
            yield Transport(
                publisher=namespace.publisher,
                consumer=consumer,
                inspector=ServiceBusQueueInspector(client, PREFIX),
            )
