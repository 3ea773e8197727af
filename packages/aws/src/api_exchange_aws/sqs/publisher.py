"""Sending to SQS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

from api_exchange_aws.sqs import batches
from api_exchange_aws.sqs.queues import Queue, Queues
from api_exchange_aws.sqs.wire import (
    LONGEST_DELAY,
    MAX_MESSAGE,
    Attribute,
    Notes,
    Parcel,
    digest,
    group_of,
)
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_NO_DELAY = timedelta(0)


@dataclass(frozen=True, slots=True)
class SqsMessagePublisher(MessagePublisher):
    """Puts messages into queues of SQS.

    In a standard queue the tenant is the message group, which makes SQS share the queue fairly between tenants ("Amazon
    SQS fair queues"); ordering keys are not kept. In a FIFO queue each ordering key of a tenant is a group, a message
    without one is a group of its own, and of two messages with the same id within 5 minutes SQS keeps the first.

    A delay longer than SQS's 15 minutes is noted on the message, and whoever receives it before its time hides it
    again. So it is in a FIFO queue with any delay, since SQS delays no single message there.

    Should SQS refuse one message of a request and take another of the same ordering key, sending all again brings them
    out of order; it refuses single messages only when something breaks on its side.
    """

    client: SQSClient
    queues: Queues
    clock: Clock

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        by_queue: dict[QueueName, list[Outgoing]] = {}
        for message in messages:
            _check_delay(message)
            by_queue.setdefault(message.queue, []).append(message)
        parcels = {
            queue: [self._parcel(queue, message) for message in of_queue]
            for queue, of_queue in ((self.queues[name], some) for name, some in by_queue.items())
        }
        for queue, of_queue in parcels.items():
            sent = batches.send(self.client, queue, of_queue)
            if sent.error is not None:
                raise sent.error
            for refused in sent.refused:
                message_id = by_queue[queue.name][refused.place].message_id
                raise refused.error(f"sqs:SendMessage of message {message_id!r} to {queue}")

    def _parcel(self, queue: Queue, message: Outgoing) -> Parcel:
        by_sqs = _NO_DELAY if queue.keeps_order else min(message.delay, LONGEST_DELAY)
        notes = Notes(due_at=self.clock.now() + message.delay if message.delay > by_sqs else None)
        properties = {name: Attribute("String", value) for name, value in message.properties.items()}
        deduplication = digest(message.tenant_id, message.message_id) if queue.keeps_order else None
        parcel = Parcel(
            body=message.body,
            attributes={**properties, **notes.attributes},
            delay=by_sqs,
            group=_group(message, deduplication),
            deduplication=deduplication,
        )
        if parcel.size > MAX_MESSAGE:
            raise PermanentError(
                f"message {message.message_id!r} to {queue} has {parcel.size:,} bytes as SQS counts them, properties "
                f"included; {MAX_MESSAGE:,} is the limit"
            )
        return parcel


def _group(message: Outgoing, deduplication: str | None) -> str:
    if deduplication is None:
        return message.tenant_id
    return (
        deduplication if message.ordering_key is None else group_of(message.tenant_id, message.ordering_key)
    )


def _check_delay(message: Outgoing) -> None:
    if message.delay > MAX_DELAY:
        raise PermanentError(
            f"message {message.message_id!r} to queue {message.queue!r} is delayed by {message.delay}; {MAX_DELAY} is "
            "the limit"
        )
