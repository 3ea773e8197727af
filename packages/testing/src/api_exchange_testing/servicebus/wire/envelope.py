"""Messages on the wire and messages in a queue."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import timedelta
from typing import Final

from api_exchange_testing.servicebus.model.message import Held, Message
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.wire.values import (
    Section,
    SectionCode,
    moment,
    section,
    sections,
    symbols,
    timestamp,
    uint,
)

_BODY: Final = (SectionCode.DATA, SectionCode.SEQUENCE, SectionCode.VALUE, SectionCode.FOOTER)
_SYSTEM: Final[Mapping[str, int]] = {  # the places of properties in their section, AMQP 1.0 part 3.2.4
    "message_id": 0,
    "to": 2,
    "subject": 3,
    "reply_to": 4,
    "correlation_id": 5,
    "content_type": 6,
    "session_id": 10,
    "reply_to_session_id": 12,
}
_SCHEDULED: Final = "x-opt-scheduled-enqueue-time"
_LIFETIME: Final = 2
_BEGINNINGS: Final = tuple(bytes((0x00, 0x53, code)) for code in SectionCode)


def messages_in(encoded: bytes) -> list[Message]:
    """The message of a transfer, or those of a batch.

    A batch (message format 0x80013700) has an encoded message in each data section. Proton does not tell the format,
    so a message is taken for a batch if each of its data sections begins as a section does.

    Raises:
        RefusedError: it cannot be decoded.
    """
    parts = list(sections(encoded))
    bodies = [part.value for part in parts if part.code is SectionCode.DATA]
    inner = [body for body in bodies if isinstance(body, bytes) and body.startswith(_BEGINNINGS)]
    if inner and len(inner) == len(bodies):
        return [_message(list(sections(body))) for body in inner]
    return [_message(parts)]


def one_message(encoded: bytes) -> Message:
    """A message that is no batch.

    Raises:
        RefusedError: it cannot be decoded.
    """
    return _message(list(sections(encoded)))


def encoded(held: Held) -> bytes:
    """A message of a queue, with what the broker knows of it."""
    message = held.message
    time_to_live = message.time_to_live
    header = [
        message.durable,
        message.priority,
        None if time_to_live is None else uint(time_to_live // timedelta(milliseconds=1)),
        None,
        uint(held.delivery_count),
    ]
    annotations = {
        **message.annotations,
        "x-opt-sequence-number": held.sequence_number,
        "x-opt-enqueued-time": timestamp(held.enqueued_at),
        "x-opt-message-state": int(held.state),
    }
    if held.lock is not None:
        annotations["x-opt-locked-until"] = timestamp(held.lock.until)
    if held.source is not None:
        annotations["x-opt-deadletter-source"] = held.source
    properties = (
        section(SectionCode.APPLICATION_PROPERTIES, message.properties) if message.properties else b""
    )
    return b"".join(
        (
            section(SectionCode.HEADER, header),
            section(SectionCode.MESSAGE_ANNOTATIONS, symbols(annotations)),
            message.head,
            properties,
            message.body,
        )
    )


def content(message: Message) -> bytes | None:
    """The bytes of a message's data sections; None if its body is a value or a sequence."""
    parts = [part.value for part in sections(message.body) if part.code is SectionCode.DATA]
    return b"".join(part for part in parts if isinstance(part, bytes)) if parts else None


def _message(parts: list[Section]) -> Message:
    values = {part.code: part.value for part in parts}
    header = _fields(values.get(SectionCode.HEADER), 5)
    system = _fields(values.get(SectionCode.PROPERTIES), 13)
    annotations = _named(values.get(SectionCode.MESSAGE_ANNOTATIONS))
    due = annotations.get(_SCHEDULED)
    session_id = system[_SYSTEM["session_id"]]
    return Message(
        head=b"".join(part.raw for part in parts if part.code is SectionCode.PROPERTIES),
        body=b"".join(part.raw for part in parts if part.code in _BODY),
        message_id=system[0] if isinstance(system[0], Hashable) else None,
        session_id=session_id if isinstance(session_id, str) else None,
        time_to_live=_duration(header[_LIFETIME]),
        scheduled_at=None if due is None else moment(due),
        durable=header[0] if isinstance(header[0], bool) else None,
        priority=header[1] if isinstance(header[1], int) else None,
        properties=_named(values.get(SectionCode.APPLICATION_PROPERTIES)),
        annotations=annotations,
        system={name: system[place] for name, place in _SYSTEM.items()},
    )


def _fields(value: object, count: int) -> list[object]:
    """The fields of a section that is a list; those at its end may be left out."""
    given = value if isinstance(value, list) else []
    return [*given, *[None] * (count - len(given))]


def _named(value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusedError(Condition.DECODE_ERROR, "Properties and annotations are maps.")
    return {str(name): each for name, each in value.items()}


def _duration(milliseconds: object) -> timedelta | None:
    return timedelta(milliseconds=milliseconds) if isinstance(milliseconds, int) else None
