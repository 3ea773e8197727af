"""Messages as SQS hands them out, to a consumer or to a Lambda function, as deliveries."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from api_exchange_aws.sqs.text import body_of
from api_exchange_aws.sqs.wire import LONGEST_HIDING, NOTES, Attribute, Notes
from api_exchange_aws.sqs.wrappers import unwrapped
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What it takes to settle a delivery; travels in it as text.

    Args:
        handle: SQS's own receipt.
        sqs_id: the id that SQS gave the message.
        group: its message group, if it has one.
        deduplication: its deduplication id, if it came from a FIFO queue.
        attributes: all but the notes, to be sent along with a copy of it.
    """

    handle: str = field(repr=False)
    sqs_id: str
    group: str | None
    deduplication: str | None
    attributes: Mapping[str, Attribute] = field(repr=False)

    @classmethod
    def of(cls, delivery: Delivery) -> Receipt:
        """The receipt of *delivery*, which must be one of SQS."""
        read = json.loads(delivery.receipt)
        attributes = {
            name: Attribute(kind, b64decode(value) if kind.startswith("Binary") else value)
            for name, (kind, value) in read.pop("attributes").items()
        }
        return cls(attributes=attributes, **read)

    @override
    def __str__(self) -> str:
        """As a delivery has it."""
        attributes = {
            name: (
                one.data_type,
                b64encode(one.value).decode() if isinstance(one.value, bytes) else one.value,
            )
            for name, one in self.attributes.items()
        }
        return json.dumps(
            {
                "handle": self.handle,
                "sqs_id": self.sqs_id,
                "group": self.group,
                "deduplication": self.deduplication,
                "attributes": attributes,
            },
            separators=(",", ":"),
        )

    @property
    def keeps_order(self) -> bool:
        """Whether others wait for this message: it is in a FIFO queue, and has an ordering key.

        What has none is in a group of its own there, which is called like its deduplication id.
        """
        return self.deduplication is not None and self.deduplication != self.group


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as SQS handed it out.

    Args:
        delivery: what is made of it.
        wait: how long it is not due yet, since it was delayed for longer than SQS delays; zero if it is due.
    """

    delivery: Delivery
    wait: timedelta

    @classmethod
    def from_queue(cls, queue: QueueName, message: MessageTypeDef, *, now: datetime) -> Received:
        """A message of ReceiveMessage."""
        return cls._made(
            queue,
            now,
            body=message["Body"],
            handle=message["ReceiptHandle"],
            sqs_id=message["MessageId"],
            system={str(name): value for name, value in message["Attributes"].items()},
            attributes=attributes_of(message),
        )

    @classmethod
    def from_event(cls, queue: QueueName, record: Mapping[str, Any], *, now: datetime) -> Received:
        """A record of the event that starts a Lambda function ("Using Lambda with Amazon SQS")."""
        attributes = {name: _attribute(one) for name, one in record.get("messageAttributes", {}).items()}
        return cls._made(
            queue,
            now,
            body=record["body"],
            handle=record["receiptHandle"],
            sqs_id=record["messageId"],
            system=record["attributes"],
            attributes=attributes,
        )

    @classmethod
    def _made(
        cls,
        queue: QueueName,
        now: datetime,
        *,
        body: str,
        handle: str,
        sqs_id: str,
        system: Mapping[str, str],
        attributes: Mapping[str, Attribute],
    ) -> Received:
        notes = Notes.of(attributes)
        receipt = Receipt(
            handle=handle,
            sqs_id=sqs_id,
            group=system.get("MessageGroupId"),
            deduplication=system.get("MessageDeduplicationId"),
            attributes={name: one for name, one in attributes.items() if name != NOTES},
        )
        count = int(system["ApproximateReceiveCount"]) - _too_early(notes, system)
        delivery = Delivery(
            queue,
            unwrapped(body_of(body)),
            str(receipt),
            notes.spent + max(count, 1),
            instant(system["SentTimestamp"]),
        )
        wait = _NO_TIME if notes.due_at is None else max(notes.due_at - now, _NO_TIME)
        return cls(delivery=delivery, wait=wait)


def attributes_of(message: MessageTypeDef) -> dict[str, Attribute]:
    """The attributes of a message of ReceiveMessage, notes included."""
    return {
        name: Attribute(one["DataType"], one.get("StringValue") or one.get("BinaryValue", ""))
        for name, one in message.get("MessageAttributes", {}).items()
    }


def instant(milliseconds: str) -> datetime:
    """The time that a timestamp of SQS tells."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _too_early(notes: Notes, system: Mapping[str, str]) -> int:
    """How often the message was handed out before it was due: it was then hidden for as long as it can be."""
    if notes.due_at is None:
        return 0
    early = notes.due_at - instant(system["ApproximateFirstReceiveTimestamp"])
    return max(0, ceil(early / LONGEST_HIDING))


def _attribute(one: Mapping[str, Any]) -> Attribute:
    kind = one["dataType"]
    return Attribute(kind, b64decode(one["binaryValue"]) if kind.startswith("Binary") else one["stringValue"])
