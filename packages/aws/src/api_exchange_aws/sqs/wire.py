"""What is written on a message of SQS beside its body.

Properties are message attributes of the same name. One more attribute, `NOTES`, is the adapter's own, on the messages
that need it: a JSON object of what SQS itself cannot keep (`Notes`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final

from api_exchange_aws.sqs.text import text_of

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, SendMessageBatchRequestEntryTypeDef

# Amazon SQS Developer Guide, "Amazon SQS message quotas".
MAX_MESSAGE: Final = 1024 * 1024
"""Bytes; body and attributes together, of one message and of all messages of one request."""
MAX_BATCH: Final = 10
"""Messages of one request."""
LONGEST_DELAY: Final = timedelta(minutes=15)
"""SendMessage, DelaySeconds."""
LONGEST_VISIBILITY: Final = timedelta(hours=12)
"""From the receive on, however often it is extended."""
LONGEST_HIDING: Final = timedelta(hours=11)
"""What of `LONGEST_VISIBILITY` is there for waiting, after the time for which a message was worked on."""

NOTES: Final = "api-exchange.notes"

_GROUP: Final = re.compile(r"[!-~]{1,128}")  # SendMessage, MessageGroupId


@dataclass(frozen=True, slots=True)
class Attribute:
    """A message attribute: a text, a number as text, or bytes."""

    data_type: str
    value: str | bytes

    @property
    def on_wire(self) -> MessageAttributeValueTypeDef:
        """As requests have it."""
        if isinstance(self.value, bytes):
            return {"DataType": self.data_type, "BinaryValue": self.value}
        return {"DataType": self.data_type, "StringValue": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What the adapter must know of a message, and SQS cannot keep.

    Args:
        spent: how often it was handed out that counts, before it was sent for the last time.
        due_at: not to be handed out before.
        group: of a dead letter, the message group that its message was in.
    """

    spent: int = 0
    due_at: datetime | None = None
    group: str | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Attribute]) -> Notes:
        """The notes among *attributes*; what is not ours tells nothing."""
        attribute = attributes.get(NOTES)
        if attribute is None:
            return cls()
        try:
            noted = json.loads(attribute.value)
            due_at, group = noted.get("due_at"), noted.get("group")
            return cls(
                spent=int(noted.get("spent", 0)),
                due_at=None if due_at is None else datetime.fromisoformat(due_at).astimezone(UTC),
                group=group if isinstance(group, str) and _GROUP.fullmatch(group) else None,
            )
        except (AttributeError, TypeError, ValueError):
            return cls()

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """These notes as attributes; none if there is nothing to note."""
        noted: dict[str, object] = {}
        if self.spent:
            noted["spent"] = self.spent
        if self.due_at is not None:
            noted["due_at"] = self.due_at.isoformat()
        if self.group is not None:
            noted["group"] = self.group
        return {NOTES: Attribute("String", json.dumps(noted, separators=(",", ":")))} if noted else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A message as it is put into SQS.

    Args:
        body: the bytes.
        attributes: all of them, notes included.
        delay: by SQS itself; zero in FIFO queues, which know no delay of a single message.
        group: in a FIFO queue what its order is kept within; in a standard one whose share it is.
        deduplication: in a FIFO queue, another of the same is not stored for 5 minutes; None in a standard one.
    """

    body: bytes = field(repr=False)
    attributes: Mapping[str, Attribute]
    delay: timedelta = timedelta(0)
    group: str | None = None
    deduplication: str | None = None

    def entry(self, entry_id: str) -> SendMessageBatchRequestEntryTypeDef:
        """As requests have it."""
        entry: SendMessageBatchRequestEntryTypeDef = {"Id": entry_id, "MessageBody": text_of(self.body)}
        if self.attributes:
            entry["MessageAttributes"] = {name: one.on_wire for name, one in self.attributes.items()}
        if self.delay:
            entry["DelaySeconds"] = whole_seconds(self.delay)
        if self.group is not None:
            entry["MessageGroupId"] = self.group
        if self.deduplication is not None:
            entry["MessageDeduplicationId"] = self.deduplication
        return entry

    @property
    def size(self) -> int:
        """Its bytes as SQS counts them: body, and names, types and values of attributes."""
        return len(text_of(self.body).encode()) + sum(
            len(name.encode()) + len(one.data_type) + len(_bytes(one.value))
            for name, one in self.attributes.items()
        )


def group_of(tenant_id: str, ordering_key: str) -> str:
    """The message group of a tenant's ordering key, as legible as SQS lets it be."""
    group = f"{tenant_id}/{ordering_key}"
    return group if _GROUP.fullmatch(group) else f"{tenant_id}/{digest(ordering_key)}"


def digest(*parts: str) -> str:
    """60 characters that stand for *parts*."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:60]


def whole_seconds(time: timedelta) -> int:
    """*time* in whole seconds, which is all that SQS knows; rounded up, so that nothing comes too early."""
    return ceil(time.total_seconds())


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
