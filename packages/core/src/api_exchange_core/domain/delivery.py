"""Deliveries and how they end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api_exchange_core.domain.names import QueueName


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as received from one queue, with what its consumer needs to settle it.

    Args:
        queue: where it came from.
        body: the bytes as they were sent.
        receipt: opaque to all but the consumer that gave it; good for one receive.
        receive_count: how often the platform has handed it out, counting from 1.
        enqueued_at: when it was sent, if the platform tells.
    """

    queue: QueueName
    body: bytes = field(repr=False)
    receipt: str = field(repr=False)
    receive_count: int
    enqueued_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """Done; remove it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Failed for now: deliver it again after a while; the attempt counts."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now: deliver it again after a while; no attempt is spent. After zero: given back untouched."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Failed for good: move it to the dead-letter queue.

    Args:
        letter: the bytes to keep there: the whole message with its failure block, or the raw bytes wrapped.
        reason: one line for the platform's own display.
    """

    letter: bytes = field(repr=False)
    reason: str = field(repr=False)


Disposition = Complete | Retry | Defer | DeadLetter


@dataclass(frozen=True, slots=True)
class Settlement:
    """A delivery with its disposition."""

    delivery: Delivery
    disposition: Disposition
