"""What the suites of the ports do not ask about queues of SQS."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api_exchange_aws.sqs.consumer import SqsMessageConsumer
from api_exchange_aws.sqs.inspector import SqsQueueInspector
from api_exchange_aws.sqs.publisher import SqsMessagePublisher
from api_exchange_aws.sqs.queues import Queues
from api_exchange_aws.sqs.settling import Settling
from api_exchange_aws.sqs.wire import MAX_MESSAGE, NOTES, group_of
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from packages.aws.tests.deployment import PREFIX, ServiceClock
from packages.aws.tests.ministack.server import Ministack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUE, DEAD = QueueName("orders"), QueueName("orders-dlq")
HOUR = timedelta(hours=1)


class Ends:
    """The ends of a transport on the stand-in."""

    def __init__(self, server: Ministack) -> None:
        self.client: SQSClient = server.client("sqs")
        self.clock = ServiceClock(server)
        self.queues = Queues(self.client, PREFIX)
        self.publisher = SqsMessagePublisher(self.client, self.queues, self.clock)
        self.consumer = SqsMessageConsumer(
            self.client, self.queues, self.clock, Settling(self.client, self.queues, self.clock)
        )

    def create(self, *names: str, fifo: bool = False) -> None:
        for name in names:
            if fifo:
                self.client.create_queue(QueueName=f"{PREFIX}{name}.fifo", Attributes={"FifoQueue": "true"})
            else:
                self.client.create_queue(QueueName=PREFIX + name)

    def send(self, name: str = "m-1", **more: Any) -> None:
        outgoing = {"queue": QUEUE, "tenant_id": TenantId("customer-a"), "body": name.encode()}
        self.publisher.publish([Outgoing(**{**outgoing, "message_id": MessageId(name), **more})])

    def receive(self, queue: QueueName = QUEUE) -> list[Delivery]:
        return list(self.consumer.receive(queue, max_messages=100, visibility=HOUR))

    def settle(self, delivery: Delivery, ending: Complete | Retry | Defer | DeadLetter) -> None:
        self.consumer.settle([Settlement(delivery, ending)])

    def raw(self, queue: QueueName = QUEUE) -> list[Any]:
        answer = self.client.receive_message(
            QueueUrl=self.queues[queue].url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))


@pytest.fixture
def ends(ministack: Ministack) -> Ends:
    return Ends(ministack)


def test_the_tenant_is_the_message_group_of_a_standard_queue(ends: Ends) -> None:
    ends.create(QUEUE)
    ends.send(ordering_key="order-1", properties={"kind": "Größe"})
    [message] = ends.raw()
    assert message["Attributes"]["MessageGroupId"] == "customer-a"
    assert {name: one["StringValue"] for name, one in message["MessageAttributes"].items()} == {
        "kind": "Größe"
    }


def test_groups_of_a_fifo_queue_are_legible_where_they_can_be(ends: Ends) -> None:
    ends.create(QUEUE, fifo=True)
    ends.send("m-1", ordering_key="order-1")
    ends.send("m-2", ordering_key="Größe" * 20)
    groups = [message["Attributes"]["MessageGroupId"] for message in ends.raw()]
    assert groups == ["customer-a/order-1", group_of("customer-a", "Größe" * 20)]
    assert all(group.isascii() and len(group) <= 128 for group in groups)


def test_a_delay_of_days_ends_at_its_time_and_the_message_is_new_then(ends: Ends) -> None:
    ends.create(QUEUE)
    ends.send(delay=timedelta(days=3))
    ends.clock.advance(timedelta(minutes=15))
    for _ in range(71):
        assert ends.receive() == []
        ends.clock.advance(HOUR)
    assert ends.receive() == []
    ends.clock.advance(timedelta(minutes=45))
    [delivery] = ends.receive()
    assert delivery.receive_count == 1


def test_a_delayed_message_that_nobody_polled_for_is_new_too(ends: Ends) -> None:
    ends.create(QUEUE)
    ends.send(delay=timedelta(days=3))
    ends.clock.advance(timedelta(days=3))
    assert [delivery.receive_count for delivery in ends.receive()] == [1]


def test_counts_add_up_over_copies(ends: Ends) -> None:
    ends.create(QUEUE)
    ends.send()
    days = timedelta(days=2)
    counts = []
    for ending in (Retry(HOUR), Defer(HOUR), Retry(days), Defer(days), Retry(HOUR), Complete()):
        [delivery] = ends.receive()
        counts.append(delivery.receive_count)
        ends.settle(delivery, ending)
        wait = HOUR if isinstance(ending, Complete) else ending.after
        for _ in range(wait // HOUR):
            assert ends.receive() == []
            ends.clock.advance(HOUR)
    assert counts == [1, 2, 2, 3, 3, 4]


def test_properties_and_bytes_attributes_of_strangers_go_along_with_a_copy(ends: Ends) -> None:
    ends.create(QUEUE)
    attributes: dict[str, Any] = {
        "kind": {"DataType": "String", "StringValue": "a"},
        "size": {"DataType": "Number", "StringValue": "7"},
        "seal": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    }
    ends.client.send_message(QueueUrl=ends.queues[QUEUE].url, MessageBody="x", MessageAttributes=attributes)
    [delivery] = ends.receive()
    ends.settle(delivery, Defer(timedelta(0)))
    [message] = ends.raw()
    assert message["MessageAttributes"] == attributes
    assert message["Body"] == "x"


def test_notes_of_somebody_else_are_no_obstacle(ends: Ends) -> None:
    ends.create(QUEUE)
    for value in ("[]", "{", '{"due_at":"soon"}', '{"spent":"many"}'):
        ends.client.send_message(
            QueueUrl=ends.queues[QUEUE].url,
            MessageBody="x",
            MessageAttributes={NOTES: {"DataType": "String", "StringValue": value}},
        )
    assert [delivery.receive_count for delivery in ends.receive()] == [1] * 4


def test_a_letter_notes_the_group_of_its_message_and_waits_for_no_other(ends: Ends) -> None:
    ends.create(QUEUE, DEAD, fifo=True)
    for name in ("m-1", "m-2"):
        ends.send(name, ordering_key="order-1")
        [delivery] = ends.receive()
        ends.settle(delivery, DeadLetter(b"letter", reason="dead"))
    letters = ends.raw(DEAD)
    assert len({letter["Attributes"]["MessageGroupId"] for letter in letters}) == 2
    assert [letter["MessageAttributes"][NOTES]["StringValue"] for letter in letters] == [
        '{"group":"customer-a/order-1"}'
    ] * 2


def test_many_large_messages_go_in_as_many_requests_as_it_takes(ends: Ends) -> None:
    ends.create(QUEUE)
    body = b"x" * 400_000
    batch = [
        Outgoing(queue=QUEUE, tenant_id=TenantId("customer-a"), message_id=MessageId(f"m-{n}"), body=body)
        for n in range(7)
    ]
    ends.publisher.publish(batch)
    assert len(ends.receive()) == 7


def test_properties_count_towards_the_largest_message(ends: Ends) -> None:
    ends.create(QUEUE)
    with pytest.raises(PermanentError, match=r"'m-1'.*properties included"):
        ends.send(body=b"x" * (MAX_MESSAGE - 10), properties={"kind": "12345678"})


def test_of_a_call_with_a_missing_queue_nothing_is_sent(ends: Ends) -> None:
    ends.create(QUEUE)
    nowhere = Outgoing(
        queue=QueueName("nowhere"), tenant_id=TenantId("customer-a"), message_id=MessageId("m-2"), body=b"x"
    )
    here = Outgoing(queue=QUEUE, tenant_id=TenantId("customer-a"), message_id=MessageId("m-1"), body=b"x")
    with pytest.raises(PermanentError, match="no queue 'shop-nowhere'"):
        ends.publisher.publish([here, nowhere])
    assert ends.receive() == []


def test_queues_of_other_deployments_are_not_counted(ends: Ends) -> None:
    ends.create(QUEUE)
    ends.client.create_queue(QueueName="other-orders")
    other = ends.client.get_queue_url(QueueName="other-orders")["QueueUrl"]
    ends.client.send_message(QueueUrl=other, MessageBody="x")
    ends.send()
    assert SqsQueueInspector(ends.client, ends.queues).depths() == {QUEUE: 1}


def test_a_consumer_that_may_wait_is_woken_by_a_message(ends: Ends) -> None:
    ends.create(QUEUE)
    patient = SqsMessageConsumer(
        ends.client, ends.queues, ends.clock, ends.consumer.settling, wait=timedelta(seconds=20)
    )
    ends.send(delay=timedelta(seconds=1))
    received = patient.receive(QUEUE, max_messages=1, visibility=HOUR)
    assert len(received) == 1
