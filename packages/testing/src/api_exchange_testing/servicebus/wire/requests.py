"""Requests and their answers, as messages: what ``$cbs`` and ``$management`` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.wire.values import (
    SectionCode,
    elements,
    int32,
    moment,
    section,
    sections,
    symbol,
)

_OK: Final = 200
_ACCEPTED: Final = 202
_STATUS: Final[Mapping[Condition, int]] = {
    Condition.ARGUMENT_ERROR: 400,
    Condition.DECODE_ERROR: 400,
    Condition.UNAUTHORIZED: 401,
    Condition.NOT_ALLOWED: 403,
    Condition.NOT_FOUND: 404,
    Condition.MESSAGE_NOT_FOUND: 404,
    Condition.TIMEOUT: 408,
    Condition.MESSAGE_LOCK_LOST: 410,
    Condition.SESSION_LOCK_LOST: 410,
    Condition.SESSION_TAKEN: 410,
    Condition.TOO_LARGE: 413,
    Condition.NOT_IMPLEMENTED: 501,
    Condition.SERVER_BUSY: 503,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks.

    Attributes:
        message_id: the answer's correlation id.
    """

    message_id: object
    operation: str
    body: object

    def text(self) -> str:
        """The body, if it is a string.

        Raises:
            RefusedError: it is not.
        """
        if isinstance(self.body, str):
            return self.body
        raise _wrong(self.operation, "a string for a body", self.body)

    def get(self, name: str) -> object:
        """An entry of the body; None if it is not there.

        Raises:
            RefusedError: the body has no entries.
        """
        if isinstance(self.body, dict):
            return self.body.get(name)
        raise _wrong(self.operation, "a map for a body", self.body)

    def string(self, name: str) -> str:
        """An entry that is a string.

        Raises:
            RefusedError: here and below: it is not.
        """
        value = self.get(name)
        if isinstance(value, str):
            return value
        raise _wrong(self.operation, f"a string {name!r}", value)

    def optional_string(self, name: str) -> str | None:
        """An entry that is a string, or is not there."""
        return None if self.get(name) is None else self.string(name)

    def integer(self, name: str) -> int:
        """An entry that is an integer."""
        value = self.get(name)
        if isinstance(value, int):
            return value
        raise _wrong(self.operation, f"an integer {name!r}", value)

    def moment(self, name: str) -> datetime:
        """An entry that is a timestamp."""
        return moment(self.get(name))

    def integers(self, name: str) -> list[int]:
        """An entry that is an array of integers."""
        return elements(self.get(name), int)

    def tokens(self, name: str) -> list[UUID]:
        """An entry that is an array of UUIDs."""
        return elements(self.get(name), UUID)

    def maps(self, name: str) -> list[dict[str, object]]:
        """An entry that is an array of maps."""
        return elements(self.get(name), dict)

    def changes(self, name: str) -> dict[str, object]:
        """An entry that is a map; an empty one if it is not there."""
        value = self.get(name)
        if value is None:
            return {}
        if isinstance(value, dict):
            return {str(key): each for key, each in value.items()}
        raise _wrong(self.operation, f"a map {name!r}", value)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told.

    Attributes:
        condition: why not, if not.
    """

    status: int = _OK
    description: str = "OK"
    condition: Condition | None = None
    body: Mapping[str, object] = field(default_factory=dict)


def read_request(encoded: bytes) -> Request:
    """The request that a message is.

    Raises:
        RefusedError: it is none.
    """
    parts = {part.code: part.value for part in sections(encoded)}
    properties = parts.get(SectionCode.APPLICATION_PROPERTIES)
    system = parts.get(SectionCode.PROPERTIES)
    if not isinstance(properties, dict) or not isinstance(system, list) or not system:
        raise RefusedError(Condition.DECODE_ERROR, "A request has a message id and application properties.")
    return Request(system[0], str(properties.get("operation")), parts.get(SectionCode.VALUE))


def refused(error: RefusedError) -> Answer:
    """The answer that says no."""
    return Answer(_STATUS[error.condition], error.text, error.condition)


def management_answer(request: Request, answer: Answer) -> bytes:
    """An answer as ``$management`` words it."""
    told: dict[str, object] = {"statusCode": int32(answer.status), "statusDescription": answer.description}
    if answer.condition is not None:
        told["errorCondition"] = symbol(answer.condition)
    return _encoded(request, told, dict(answer.body))


def cbs_answer(request: Request, refusal: RefusedError | None) -> bytes:
    """An answer as ``$cbs`` words it (AMQP claims-based security, draft 1.0)."""
    status = _ACCEPTED if refusal is None else _STATUS[refusal.condition]
    description = "Accepted" if refusal is None else refusal.text
    return _encoded(request, {"status-code": int32(status), "status-description": description}, None)


def _encoded(request: Request, told: dict[str, object], body: object) -> bytes:
    correlated = [None, None, None, None, None, request.message_id]
    return (
        section(SectionCode.PROPERTIES, correlated)
        + section(SectionCode.APPLICATION_PROPERTIES, told)
        + section(SectionCode.VALUE, body)
    )


def _wrong(operation: str, wanted: str, given: object) -> RefusedError:
    return RefusedError(
        Condition.ARGUMENT_ERROR, f"The operation {operation!r} takes {wanted}, not {type(given).__name__}."
    )
