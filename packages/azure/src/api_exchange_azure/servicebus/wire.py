"""What is written on a message of Service Bus beside its body.

Properties are application properties of the same name. One more, `NOTES`, is the adapter's own, on the messages that
need it: a JSON object of what Service Bus itself cannot keep (`Notes`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage

NOTES: Final = "api-exchange-notes"
CONTENT_TYPE: Final = "application/cloudevents+json"

_LONGEST_ID: Final = 128  # of MessageId and SessionId (Service Bus quotas)

Property = str | int | float | bytes | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What the adapter must know of a message, and Service Bus cannot keep.

    Args:
        spent: how often it was handed out that counts, before it was sent for the last time.
        session: of a dead letter, the session that its message was in.
    """

    spent: int = 0
    session: str | None = None

    @classmethod
    def of(cls, properties: Mapping[str, object]) -> Notes:
        """The notes among *properties*; what is not ours tells nothing."""
        try:
            noted = json.loads(str(properties[NOTES]))
            return cls(spent=max(int(noted.get("spent", 0)), 0), session=noted.get("session"))
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()

    @property
    def properties(self) -> Mapping[str, Property]:
        """These notes as properties; none if there is nothing to note."""
        noted: dict[str, object] = {}
        if self.spent:
            noted["spent"] = self.spent
        if self.session is not None:
            noted["session"] = self.session
        return {NOTES: json.dumps(noted, separators=(",", ":"))} if noted else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A message as it is put into Service Bus.

    Args:
        message_id: of two with the same within its window, a queue that detects duplicates keeps the first.
        body: the bytes.
        properties: all of them, notes included.
        session: what its order is kept within, in a queue that requires sessions.
        due_at: not to be handed out before.
    """

    message_id: str
    body: bytes = field(repr=False)
    properties: Mapping[str, Property] = field(default_factory=dict, repr=False)
    session: str | None = None
    due_at: datetime | None = None

    @property
    def on_wire(self) -> ServiceBusMessage:
        """As the client library has it."""
        from azure.servicebus import ServiceBusMessage

        # The library's dict may have other names and values, and one of ours is not one of those.
        properties: dict[str | bytes, Property | UUID] = {name: one for name, one in self.properties.items()}  # noqa: C416
        return ServiceBusMessage(
            self.body,
            message_id=self.message_id,
            session_id=self.session,
            scheduled_enqueue_time_utc=self.due_at,
            content_type=CONTENT_TYPE,
            application_properties=properties,
        )


def broker_id(*parts: str) -> str:
    """An id that Service Bus takes, as legible as it lets it be; of other *parts* it is another."""
    whole = "/".join(parts)
    if len(whole) <= _LONGEST_ID and whole.isascii() and whole.isprintable():
        return whole
    return f"{parts[0][:64]}/{hashlib.sha256(chr(0).join(parts).encode('utf-8', 'surrogatepass')).hexdigest()[:60]}"


def properties_of(message: ServiceBusReceivedMessage) -> dict[str, Property]:
    """Application properties, whose names and texts the client library gives as bytes."""
    given = message.application_properties or {}
    return {_text(name): _value(value) for name, value in given.items()}


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _value(value: object) -> Property:
    if isinstance(value, bytes):
        return value.decode(errors="replace")  # the library sends no text but UTF-8
    return value if isinstance(value, str | int | float | bool) else str(value)


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    """The bytes; of a stranger's message that has none but a value of AMQP's own types, what JSON makes of that."""
    from azure.servicebus.amqp import AmqpMessageBodyType

    match message.body_type, message.body:
        case AmqpMessageBodyType.DATA, sections:
            return b"".join(sections)
        case AmqpMessageBodyType.VALUE, bytes() as text:  # a text, which the client library does not decode
            return text
        case AmqpMessageBodyType.VALUE, value:
            return json.dumps(_legible(value)).encode()
        case _, sequences:
            return json.dumps([_legible(one) for one in sequences]).encode()


def _legible(value: object) -> object:
    match value:
        case Mapping():
            return {str(_legible(name)): _legible(one) for name, one in value.items()}
        case list() | tuple():
            return [_legible(one) for one in value]
        case bytes():
            return value.decode(errors="replace")
        case None | str() | int() | float() | bool():
            return value
        case _:
            return str(value)
