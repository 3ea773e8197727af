"""Messages as bytes: CloudEvents 1.0, structured JSON, with extension attributes.

Any CloudEvents reader can read it. The attributes are the standard ones (``id source type specversion time
datacontenttype data``) and these extensions, whose names and types follow the CloudEvents rules (lower-case letters
and digits, at most 20 of them; texts and integers):

======================= ========================================================================
``envelopeversion``     1; a larger one was written by a newer framework and waits for a newer reader
``tenantid``            on whose behalf
``correlationid``       the same for all messages of a request
``causationid``         the parent's id
``attempt``             counts from 1
``entityid`` and others the entity: ``entityid entityexternalid entitytype entitysource entityversion``
``metadata``            JSON object of texts, as text
``replays``             how often it was put back from the dead letters; absent if never
``failure``             in dead letters: JSON object, as text
``dataref``             in place of ``data``: the content is kept apart (see `domain.claim_check`)
``traceparent``         the span that it was made in, and ``tracestate`` (CloudEvents "Distributed Tracing" extension)
======================= ========================================================================

Source: CloudEvents specification 1.0.2, "Context Attributes" and "JSON Event Format".
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import cast

from pydantic_core import from_json, to_json

from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.errors import (
    AbsentContentError,
    ExchangeError,
    InvalidMessageError,
    UnknownEnvelopeError,
    UnrepresentableError,
)
from api_exchange_core.domain.failure import Failure, PastAttempt
from api_exchange_core.domain.json_value import MAX_DEPTH, JsonValue, json_value
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.domain.trace_context import trace_context

ENVELOPE_VERSION = 1
FAILURE_ROOM = 64 * 1024
MAX_MESSAGE_BYTES = 1024 * 1024 - FAILURE_ROOM
"""Largest message in bytes: what SQS takes (1 MiB, SQS quotas, "Message size") less room for the failure block, so
that whatever could be sent can be dead-lettered as well."""

_CONTENT_TYPE = "application/json"
_INFINITY = b"Infinity"
"""What a number that is too large comes to when it is read and written again, which JSON cannot say. A text may say it
too. This finds it in a quarter of the time that a pattern takes to find numbers with many digits."""


def encode(message: Message) -> bytes:
    """The message as CloudEvents JSON.

    Raises:
        InvalidMessageError: it is larger than `MAX_MESSAGE_BYTES`.
    """
    return encode_with_data(message, to_json(message.payload))


def encode_with_data(header: Message, data: bytes) -> bytes:
    """The envelope of *header* around *data*, JSON bytes that take the place of its payload.

    Raises:
        InvalidMessageError: it is larger than `MAX_MESSAGE_BYTES`.
    """
    body = _joined(_attributes(header), data)
    if len(body) > MAX_MESSAGE_BYTES:
        raise InvalidMessageError(
            f"message {header.id!r} has {len(body):,} bytes, and {MAX_MESSAGE_BYTES:,} is the limit of all platforms "
            "together: send a smaller payload, or a reference to where the content is"
        )
    return body


def encode_letter(message: Message, failure: Failure) -> bytes:
    """The dead letter of *message*: all of it, with its failure block."""
    attributes = _attributes(message)
    attributes["failure"] = to_json(failure).decode()
    return _joined(attributes, to_json(message.payload))


def encode_raw_letter(body: bytes, failure: Failure, *, id_: str, time: datetime) -> bytes:
    """The dead letter of bytes that are no message, as they were (``data_base64``)."""
    return to_json(
        {
            "specversion": "1.0",
            "id": id_,
            "source": f"/unreadable/{failure.queue}",
            "type": "api-exchange.unreadable",
            "time": _timestamp(time),
            "failure": to_json(failure).decode(),
            "data_base64": b64encode(body).decode(),
        }
    )


def decode(body: bytes) -> Message:
    """The message in *body*.

    Raises:
        AbsentContentError: its content is kept apart, and was not joined to it.
        InvalidMessageError: the bytes are no JSON, no CloudEvent, or lack what a message needs; says which.
        UnknownEnvelopeError: a newer framework wrote it.
    """
    event = _event(body)
    if event.get("specversion") != "1.0":
        raise InvalidMessageError("no CloudEvent: `specversion` is not '1.0'")
    version = event.get("envelopeversion")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InvalidMessageError(
            "no message of API Exchange: `envelopeversion` is missing or no whole number"
        )
    if version > ENVELOPE_VERSION:
        raise UnknownEnvelopeError(
            f"envelope version {version}, and this framework reads up to {ENVELOPE_VERSION}"
        )
    try:
        return _message(event)
    except InvalidMessageError:
        raise
    except (ExchangeError, TypeError, ValueError, OverflowError) as error:
        raise InvalidMessageError(f"incomplete message: {error}") from error


def decode_payload(body: bytes) -> JsonValue:
    """The payload of the message in *body*, which has been decoded before; the rest of it is not looked at again.

    Raises:
        InvalidMessageError: the bytes are no JSON object.
    """
    return _event(body).get("data")


def decode_failure(body: bytes) -> Failure | None:
    """The failure block of a dead letter; None if there is none.

    Raises:
        InvalidMessageError: the bytes are no JSON object, or the block is malformed.
    """
    text = _event(body).get("failure")
    if text is None:
        return None
    try:
        block = from_json(cast("str", text))
        history = [
            PastAttempt(**{**one, "at": datetime.fromisoformat(one["at"])})
            for one in block.get("history", ())
        ]
        failed_at = datetime.fromisoformat(block["failed_at"])
        return Failure(**{**block, "failed_at": failed_at, "history": tuple(history)})
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise InvalidMessageError(f"malformed failure block: {_reason(error)}") from error


def _event(body: bytes) -> dict[str, JsonValue]:
    try:
        event = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidMessageError(f"unreadable: not JSON ({error})") from None
    if not isinstance(event, dict):
        raise InvalidMessageError("unreadable: JSON, but no object")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH or _INFINITY in to_json(event):
        _check_values(event)
    return event


def _check_values(event: dict[str, JsonValue]) -> None:
    try:
        json_value(event)
    except UnrepresentableError as error:
        raise InvalidMessageError(f"unreadable: {error}") from None


def _message(event: dict[str, JsonValue]) -> Message:
    if "data_base64" in event:
        raise InvalidMessageError(
            "unreadable: its data are bytes (`data_base64`); a message's are JSON (`data`)"
        )
    if "dataref" in event:
        raise AbsentContentError(
            "its content is kept apart (`dataref`), and could not be had: it was too old for the payload store, or "
            "this function reads its queue without one"
        )
    return Message(
        id=MessageId(_text(event, "id")),
        tenant_id=TenantId(_text(event, "tenantid")),
        source=_text(event, "source"),
        type=_text(event, "type"),
        time=_moment(_text(event, "time")),
        correlation_id=_text(event, "correlationid"),
        causation_id=_text(event, "causationid") if "causationid" in event else None,
        attempt=cast("int", event.get("attempt", 1)),
        entity=_entity(event) if "entityid" in event else None,
        metadata=_metadata(event),
        payload=event.get("data"),
        replays=cast("int", event.get("replays", 0)),
        trace=trace_context(event["traceparent"], event.get("tracestate"))
        if "traceparent" in event
        else None,
    )


def _entity(event: dict[str, JsonValue]) -> EntityReference:
    return EntityReference(
        id=_text(event, "entityid"),
        external_id=_text(event, "entityexternalid"),
        canonical_type=_text(event, "entitytype"),
        source=_text(event, "entitysource"),
        version=cast("int", event.get("entityversion")),
        tenant_id=_text(event, "tenantid"),
    )


def _metadata(event: dict[str, JsonValue]) -> dict[str, str]:
    if "metadata" not in event:
        return {}
    metadata = from_json(_text(event, "metadata"))
    if not isinstance(metadata, dict):
        raise InvalidMessageError("incomplete message: `metadata` holds no object")
    return metadata


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise InvalidMessageError(f"incomplete message: `time` {text!r} has no UTC offset")
    return moment.astimezone(UTC)


def _attributes(message: Message) -> dict[str, object]:
    attributes: dict[str, object] = {
        "specversion": "1.0",
        "id": message.id,
        "source": message.source,
        "type": message.type,
        "time": _timestamp(message.time),
        "datacontenttype": _CONTENT_TYPE,
        "envelopeversion": ENVELOPE_VERSION,
        "tenantid": message.tenant_id,
        "correlationid": message.correlation_id,
        "attempt": message.attempt,
    }
    if message.causation_id is not None:
        attributes["causationid"] = message.causation_id
    if message.entity is not None:
        attributes |= {
            "entityid": message.entity.id,
            "entityexternalid": message.entity.external_id,
            "entitytype": message.entity.canonical_type,
            "entitysource": message.entity.source,
            "entityversion": message.entity.version,
        }
    if message.replays:
        attributes["replays"] = message.replays
    if message.trace is not None:
        attributes["traceparent"] = message.trace.traceparent
        if message.trace.tracestate is not None:
            attributes["tracestate"] = message.trace.tracestate
    if message.metadata:
        attributes["metadata"] = to_json(dict(message.metadata)).decode()
    return attributes


def _joined(attributes: dict[str, object], data: bytes) -> bytes:
    return b'%b,"data":%b}' % (to_json(attributes)[:-1], data)


def _text(event: dict[str, JsonValue], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str):
        raise InvalidMessageError(f"incomplete message: `{name}` is missing or no text")
    return value


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _reason(error: Exception) -> str:
    return f"lacks {error}" if isinstance(error, KeyError) else str(error)
