"""Whose turn it is: the tenants that have messages in a queue, served in a circle."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.domain.names import QueueName, TenantId

Lane = TenantId | None
"""The messages of one tenant in one queue; None are those whose tenant is not known."""

MOST_SEEN: Final = 256
"""Lanes of one look. Beyond that the next look goes on where this one ended."""

A_MOMENT: Final = timedelta(milliseconds=100)
"""How long a look is good for: to look costs half of what a receive costs, and tenants come and go slowly."""

FIRST: Final = ""
"""Sorts before every tenant."""

Look = Callable[[str], Sequence[Lane]]
"""Finds the lanes with messages that come after a tenant, in their order, at most `MOST_SEEN`."""


@dataclass(slots=True)
class _Circle:
    """The lanes of one queue, the next one first.

    Args:
        lanes: those that are known to have messages.
        is_whole: there were no others.
        seen_at: when.
        last: the lane that was served last.
        lock: held by whoever looks or is served.
    """

    lanes: deque[Lane] = field(default_factory=deque)
    is_whole: bool = True
    seen_at: datetime | None = None
    last: Lane = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Turns:
    """Serves the lanes of each queue in turn, so that with more of them than a batch is large none waits for ever.

    It remembers for `A_MOMENT` which lanes there are. One that turned out to be empty is left out until the next look,
    and when all are, that is at once.
    """

    def __init__(self) -> None:
        self._circles: dict[QueueName, _Circle] = {}

    def next(self, queue: QueueName, most: int, *, now: datetime, look: Look) -> Sequence[Lane]:
        """The lanes that a receive of *most* messages is to serve, the first ones with a message more than the rest.

        Returns:
            At most *most*; none if no lane has messages.
        """
        circle = self._circles.setdefault(queue, _Circle())
        with circle.lock:
            if not circle.lanes or circle.seen_at is None or not _is_recent(circle.seen_at, now):
                _look_around(circle, now, look)
            return _served(circle, most)

    def drop(self, queue: QueueName, empty: Collection[Lane]) -> None:
        """Leave out lanes that had less than their share."""
        circle = self._circles[queue]
        with circle.lock:
            circle.lanes = deque(lane for lane in circle.lanes if lane not in empty)


def _is_recent(seen_at: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - seen_at < A_MOMENT  # a clock that was set back makes nothing last


def _look_around(circle: _Circle, now: datetime, look: Look) -> None:
    after = FIRST if circle.is_whole or circle.last is None else circle.last
    found = look(after)
    if not found and after != FIRST:
        after = FIRST
        found = look(after)
    circle.lanes = deque(found)
    circle.is_whole = after == FIRST and len(found) < MOST_SEEN
    circle.seen_at = now
    if circle.is_whole and circle.last in circle.lanes:
        circle.lanes.rotate(-1 - circle.lanes.index(circle.last))


def _served(circle: _Circle, most: int) -> Sequence[Lane]:
    if not circle.lanes:
        return ()
    lanes = list(circle.lanes)[:most]
    if circle.is_whole:
        circle.lanes.rotate(-most)
        circle.last = circle.lanes[-1]
    else:
        circle.lanes = deque(list(circle.lanes)[most:])
        circle.last = lanes[-1]
    return lanes
