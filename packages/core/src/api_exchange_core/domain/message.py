"""The message: the envelope that travels between functions."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel

from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import MAX_COUNT, MAX_IDENTIFIER, MessageId, TenantId, tenant_id
from api_exchange_core.domain.payload_model import validated
from api_exchange_core.domain.trace_context import TraceContext

MESSAGE_TYPE = "api-exchange.message"
"""CloudEvents ``type`` of a message whose sender names none."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. Frozen; what a processor sends on are children, made by the framework.

    Args:
        id: unique for tenant and function; the idempotency key.
        tenant_id: on whose behalf; there is no default.
        source: who made it, as a URI reference such as ``/orders/fetch-orders``.
        payload: JSON: dict, list, str, int, float, bool or None.
        time: when it was made, aware.
        correlation_id: the same for all messages of one request; the message's own id at its start.
        causation_id: id of the message that this one is a child of.
        entity: the entity that the message is about.
        attempt: how often delivery has been tried, counting from 1; the platform's own count may be larger.
        type: what kind of message, for readers outside of the framework.
        metadata: small texts that travel along, and on to the children.
        replays: how often it was put back from the dead letters; its children count anew.
        trace: where in a distributed trace it was made, if it was made in one.
    """

    id: MessageId
    tenant_id: TenantId
    source: str
    payload: JsonValue = field(repr=False)
    time: datetime
    correlation_id: str
    causation_id: str | None = None
    entity: EntityReference | None = None
    attempt: int = 1
    type: str = MESSAGE_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    replays: int = 0
    trace: TraceContext | None = None

    def __post_init__(self) -> None:
        tenant_id(self.tenant_id)
        for name in ("id", "source", "correlation_id", "type"):
            _check_text(getattr(self, name), name)
        if self.causation_id is not None:
            _check_text(self.causation_id, "causation_id")
        if self.time.utcoffset() != timedelta(0):
            raise InvalidMessageError(f"a message's time is aware and in UTC, not {self.time!r}")
        if not (_is_count(self.attempt) and _is_count(self.replays)) or self.attempt == 0:
            raise _no_count(self.attempt, self.replays)
        if self.entity is not None and self.entity.tenant_id != self.tenant_id:
            raise InvalidMessageError(
                f"message {self.id!r} of tenant {self.tenant_id!r} refers to an entity of {self.entity.tenant_id!r}"
            )
        for name, value in self.metadata.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise InvalidMessageError(f"message metadata are texts with text names; {name!r} is not")

    def payload_as(self, model: builtins.type[Model]) -> Model:
        """The payload as an instance of *model*.

        Raises:
            InvalidPayloadError: it does not fit; names the fields and reasons, not the values.
        """
        return validated(model, self.payload, where=f"payload of message {self.id!r}")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _no_count(attempt: object, replays: object) -> InvalidMessageError:
    wrong_replays = _is_count(attempt) and attempt != 0
    name, value, least = ("replays", replays, 0) if wrong_replays else ("attempt", attempt, 1)
    return InvalidMessageError(
        f"a message's {name} is a whole number from {least} to {MAX_COUNT:,}, not {value!r}"
    )


def _check_text(value: object, name: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_IDENTIFIER or not value.isprintable():
        raise InvalidMessageError(f"a message's {name} is 1 to {MAX_IDENTIFIER} printable characters")
