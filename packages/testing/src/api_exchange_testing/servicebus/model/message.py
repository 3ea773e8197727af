"""Messages as a queue sees them. What the queue does not need to know stays encoded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it was sent.

    Attributes:
        head: the encoded section of system properties, passed on as it came.
        body: the encoded body sections and footer, passed on as they came.
        properties: of the application; the broker adds to them when it dead-letters.
        annotations: of the message, without those that the broker sets.
        system: the system properties that filters compare, by their names in `CorrelationFilter`.
    """

    head: bytes = b""
    body: bytes = b""
    message_id: Hashable = None
    session_id: str | None = None
    time_to_live: timedelta | None = None
    scheduled_at: datetime | None = None
    durable: bool | None = None
    priority: int | None = None
    properties: Mapping[str, object] = field(default_factory=dict)
    annotations: Mapping[str, object] = field(default_factory=dict)
    system: Mapping[str, object] = field(default_factory=dict)

    def end_of_life(self, begin: datetime, default: timedelta | None) -> datetime | None:
        """When its time to live is over, which is at most *default*; None is never."""
        lives = [each for each in (self.time_to_live, default) if each is not None]
        if not lives:
            return None
        try:
            return begin + min(lives)
        except OverflowError:
            return None


class State(IntEnum):
    """Where a message stands, in the numbers of ``x-opt-message-state``."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(frozen=True, slots=True)
class Lock:
    """The right to settle a message, until a time."""

    token: UUID
    until: datetime


@dataclass(slots=True, eq=False)
class Held:
    """A message in a queue.

    Attributes:
        delivery_count: failed deliveries so far: given up by the receiver, or its lock ran out.
        expires_at: when its time to live is over; None is never.
        source: the queue that dead-lettered it.
    """

    message: Message
    sequence_number: int
    enqueued_at: datetime
    state: State
    delivery_count: int = 0
    expires_at: datetime | None = None
    lock: Lock | None = None
    source: str | None = None

    def is_free(self) -> bool:
        """Whether a receiver may have it."""
        return self.state is State.ACTIVE and self.lock is None

    def is_over(self, now: datetime) -> bool:
        """Whether its time to live has passed."""
        return self.expires_at is not None and self.expires_at <= now
