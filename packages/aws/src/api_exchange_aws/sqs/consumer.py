"""Receiving from SQS, where something runs that polls: a container, or a machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from api_exchange_aws.errors import translated
from api_exchange_aws.sqs import batches
from api_exchange_aws.sqs.queues import Queue, Queues
from api_exchange_aws.sqs.received import Received
from api_exchange_aws.sqs.settling import Settling
from api_exchange_aws.sqs.wire import LONGEST_VISIBILITY, MAX_BATCH, whole_seconds
from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_NOT_AT_ALL: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class SqsMessageConsumer(MessageConsumer):
    """Takes messages out of queues of SQS.

    A standard queue gives ten at a time, of whatever tenant and in about the order in which they were sent. A FIFO
    queue is asked for one message after the other: it would hand out several of a group at once, and those behind the
    first, which have to be given back when that fails, would be counted as tried.

    SQS knows whole seconds only; other times are rounded up.

    Args:
        wait: how long a receive may wait for the first message, at most 20 seconds. SQS looks at all its servers only
            if it may wait; without, a receive may find nothing where a few messages are, and costs as much.
    """

    client: SQSClient
    queues: Queues
    clock: Clock
    settling: Settling
    wait: timedelta = _NOT_AT_ALL

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        _check(visibility)
        received = list(self._received(self.queues[queue], max_messages, visibility))
        early = [(one.delivery, one.wait) for one in received if one.wait]
        if early:
            self.settling.postpone(early)
        return [one.delivery for one in received if not one.wait]

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        _check(visibility)
        lost: list[Delivery] = []
        for queue, some in _by_queue(deliveries).items():
            lost += batches.hide(self.client, self.queues[queue], [(one, visibility) for one in some])
        return lost

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        carried = self.settling.carry_out(settlements)
        for queue, some in _by_queue(carried.completed).items():
            batches.delete(self.client, self.queues[queue], some)
        if carried.errors:
            raise carried.errors[0]

    def _received(self, queue: Queue, most: int, visibility: timedelta) -> Iterator[Received]:
        at_once = 1 if queue.keeps_order else MAX_BATCH
        wait = self.wait
        while most > 0:
            asked = min(at_once, most)
            with translated("sqs:ReceiveMessage", str(queue)):
                answer = self.client.receive_message(
                    QueueUrl=queue.url,
                    MaxNumberOfMessages=asked,
                    VisibilityTimeout=whole_seconds(visibility),
                    WaitTimeSeconds=whole_seconds(wait),
                    MessageSystemAttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
            messages = answer.get("Messages", [])
            now = self.clock.now()
            for message in messages:
                yield Received.from_queue(queue.name, message, now=now)
            most -= len(messages)
            wait = _NOT_AT_ALL
            if len(messages) < asked:
                return


def _check(visibility: timedelta) -> None:
    if visibility > LONGEST_VISIBILITY:
        raise PermanentError(
            f"SQS hides a message for {LONGEST_VISIBILITY} at most, not for {visibility}: take less, and extend it "
            "while the work goes on"
        )


def _by_queue(deliveries: Sequence[Delivery]) -> dict[QueueName, list[Delivery]]:
    by_queue: dict[QueueName, list[Delivery]] = {}
    for delivery in deliveries:
        by_queue.setdefault(delivery.queue, []).append(delivery)
    return by_queue
