"""Dead letters: what is told of one, which are meant, and what goes back into the queue."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

from pydantic_core import from_json, to_json

from api_exchange_core.domain.claim_check import PayloadClaim, claim_in, without_content
from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.envelope import decode, decode_failure
from api_exchange_core.domain.errors import (
    DeclarationError,
    ExchangeError,
    InvalidMessageError,
    PermanentError,
)
from api_exchange_core.domain.failure import LEASE_RAN_OUT, Failure
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import (
    MAX_COUNT,
    FunctionName,
    MessageId,
    QueueName,
    TenantId,
    function_name,
)
from api_exchange_core.domain.redaction import REDACTED, is_secret_name, redacted

LetterId = NewType("LetterId", str)
"""What a transport calls a letter; good for as long as the letter lies there."""


class LetterKind(StrEnum):
    """What a letter holds, and so what its replay sends."""

    MESSAGE = "message"
    """A message with its failure block."""
    BYTES = "bytes"
    """Bytes that could not be read as a message, with their failure block."""
    FOREIGN = "foreign"
    """Anything else: the platform moved a message here by itself, or somebody put it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLetter:
    """A letter as it lies in a dead-letter queue.

    Args:
        id: opaque.
        queue: the one that it died in, not the dead-letter queue.
        body: the bytes there.
        buried_at: since when it lies there.
        tenant_id: whose it is, if the transport knows.
    """

    id: LetterId
    queue: QueueName
    body: bytes = field(repr=False)
    buried_at: datetime
    tenant_id: TenantId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is told of a letter. Its payload is somebody's data, and no part of this: see `contents`.

    Args:
        id, queue, buried_at: as it is stored.
        kind: what it holds.
        size: of all of it, in bytes, with a content that is kept apart.
        tenant_id, message_id, correlation_id, causation_id, type, made_at, entity, metadata: of the message; None, or
            empty, where there is none to be read.
        replays: how often the message was put back before. Bytes that are no message cannot count.
        failure: why it is here; None if it is foreign.
        replayable: it is something that a function could read once it is put back (see `check_replayable`).
    """

    id: LetterId
    queue: QueueName
    kind: LetterKind
    buried_at: datetime
    size: int
    tenant_id: TenantId | None
    message_id: MessageId | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    type: str | None = None
    made_at: datetime | None = None
    entity: EntityReference | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    replays: int = 0
    failure: Failure | None = None
    replayable: bool = True

    @classmethod
    def of(cls, stored: StoredLetter) -> Letter:
        """What can be told of *stored*; always something."""
        failure = _failure(stored.body)
        claim = _claim(stored.body)
        unread = cls(
            id=stored.id,
            queue=stored.queue,
            kind=LetterKind.FOREIGN if failure is None else LetterKind.BYTES,
            buried_at=stored.buried_at,
            size=len(stored.body) + (0 if claim is None else claim.size),
            tenant_id=stored.tenant_id,
            failure=failure,
            replayable=_is_replayable(stored.body),
        )
        message = _message(stored.body if claim is None else without_content(stored.body))
        return unread if message is None else unread._with(message)

    def _with(self, message: Message) -> Letter:
        return replace(
            self,
            kind=LetterKind.FOREIGN if self.failure is None else LetterKind.MESSAGE,
            tenant_id=message.tenant_id,
            message_id=message.id,
            correlation_id=message.correlation_id,
            causation_id=message.causation_id,
            type=message.type,
            made_at=message.time,
            entity=message.entity,
            metadata=_without_secrets(message.metadata),
            replays=message.replays,
        )

    @property
    def code(self) -> str | None:
        """Name of its error."""
        return None if self.failure is None else self.failure.code

    @property
    def given_up_by(self) -> FunctionName | None:
        """The function whose journal keeps the message from running again until it is released; None if none does."""
        if self.failure is None or self.failure.code != LEASE_RAN_OUT:
            return None
        try:
            return function_name(self.failure.function)
        except DeclarationError:  # anybody can put a letter there
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which letters are meant: those that are all of what is given. Nothing given means every letter.

    Args:
        queue: died in this one.
        function: given up by this one.
        tenant_id: of this tenant.
        error: the error's name or text contains this, in small letters or capitals.
        fingerprint: of the error.
        correlation_id: of this request.
        message_id: the letters of one message.
        buried_before: lies there since before that.
        buried_after: lies there since then, or for a shorter time.
        ids: these, and no others.
    """

    queue: QueueName | None = None
    function: FunctionName | None = None
    tenant_id: TenantId | None = None
    error: str | None = None
    fingerprint: str | None = None
    correlation_id: str | None = None
    message_id: MessageId | None = None
    buried_before: datetime | None = None
    buried_after: datetime | None = None
    ids: tuple[LetterId, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether it leaves nothing out."""
        return self == LetterFilter()

    def takes(self, letter: Letter) -> bool:
        """Whether *letter* is meant."""
        failure = letter.failure
        wanted_and_found = (
            (self.queue, letter.queue),
            (self.tenant_id, letter.tenant_id),
            (self.correlation_id, letter.correlation_id),
            (self.message_id, letter.message_id),
            (self.function, None if failure is None else failure.function),
            (self.fingerprint, None if failure is None else failure.fingerprint),
        )
        return (
            all(wanted is None or wanted == found for wanted, found in wanted_and_found)
            and (not self.ids or letter.id in self.ids)
            and self._is_of_age(letter.buried_at)
            and (self.error is None or _mentions(failure, self.error))
        )

    def _is_of_age(self, buried_at: datetime) -> bool:
        return (self.buried_before is None or buried_at < self.buried_before) and (
            self.buried_after is None or buried_at >= self.buried_after
        )


def revived(letter: bytes) -> bytes:
    """The body that a replay sends in place of *letter*.

    A message comes back as it was, id, tenant, correlation, entity, metadata, payload and attributes of newer
    frameworks included, without its failure block; it is the first attempt again, and one replay more. Unreadable
    bytes come back as they were. What has no failure block is sent as it is.
    """
    event = _event(letter)
    if event is None or "failure" not in event:
        return letter
    raw = _raw(event)
    if raw is not None:
        return raw
    replays = event.get("replays", 0)
    counted = replays + 1 if isinstance(replays, int) and 0 <= replays < MAX_COUNT else 1
    attributes = {name: value for name, value in event.items() if name not in ("failure", "data")}
    data = {"data": event["data"]} if "data" in event else {}
    return to_json({**attributes, "attempt": 1, "replays": counted, **data})


def check_replayable(letter: StoredLetter) -> None:
    """Return if *letter* is something that a function could read once it is put back.

    Raises:
        PermanentError: it is no envelope, and no framework put it there: to send it would bury it again.
    """
    if not _is_replayable(letter.body):
        raise PermanentError(
            f"letter {letter.id!r} of queue {letter.queue!r} cannot be replayed, since it is no message of an "
            "exchange: `dlq show --payload` tells what it is, and `dlq discard --id` removes it"
        )


def _is_replayable(body: bytes) -> bool:
    event = _event(body)
    return event is not None and ("failure" in event or "specversion" in event)


def contents(letter: bytes) -> bytes:
    """What is in *letter*: the payload as JSON, or the bytes that could not be read.

    For eyes that may see it: it is the data of a tenant.
    """
    event = _event(letter)
    if event is None:
        return letter
    raw = _raw(event) if "failure" in event else None
    if raw is not None:
        return raw
    return to_json(event["data"]) if "data" in event else letter


def _event(body: bytes) -> dict[str, JsonValue] | None:
    try:
        event = from_json(body, allow_inf_nan=False)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _raw(event: Mapping[str, JsonValue]) -> bytes | None:
    """The bytes that could not be read; None if it is a message that the letter holds."""
    encoded = event.get("data_base64")
    try:
        return b64decode(encoded, validate=True) if isinstance(encoded, str) else None
    except ValueError:
        return None


def _failure(body: bytes) -> Failure | None:
    try:
        return decode_failure(body)
    except InvalidMessageError:
        return None


def _claim(body: bytes) -> PayloadClaim | None:
    try:
        return claim_in(body)
    except InvalidMessageError:
        return None


def _message(body: bytes) -> Message | None:
    try:
        return decode(body)
    except ExchangeError:
        return None


def _mentions(failure: Failure | None, text: str) -> bool:
    return failure is not None and text.casefold() in f"{failure.code}: {failure.reason}".casefold()


def _without_secrets(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """What is told of *metadata*; the letter itself, and what is put back of it, has all of it."""
    return {name: REDACTED if is_secret_name(name) else redacted(value) for name, value in metadata.items()}
