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

    def suffices(self, most: int, now: datetime) -> bool:
        """Whether *most* messages can be shared out among the lanes that were seen."""
        if not self.lanes or self.seen_at is None:
            return False
        # A clock that was set back makes nothing last.
        return (self.is_whole or len(self.lanes) >= most) and timedelta(0) <= now - self.seen_at < A_MOMENT

    def look_around(self, now: datetime, look: Look) -> None:
        """See which lanes there are, from the one after the last that was served."""
        if self.is_whole or self.last is None:
            found = list(look(FIRST))
        else:
            found = list(look(self.last))
            if len(found) < MOST_SEEN:
                found += [lane for lane in look(FIRST) if lane not in found][: MOST_SEEN - len(found)]
        self.lanes = deque(found)
        self.is_whole = len(found) < MOST_SEEN
        self.seen_at = now
        if self.last in self.lanes and self.is_whole:
            self.lanes.rotate(-1 - self.lanes.index(self.last))

    def serve(self, most: int) -> Sequence[Lane]:
        """The next lanes, at most *most*, which had their turn with that."""
        if not self.lanes:
            return ()
        chosen = list(self.lanes)[:most]
        self.lanes.rotate(-most)
        self.last = self.lanes[-1]
        if not self.is_whole:
            self.lanes = deque(list(self.lanes)[: -len(chosen)])
        return chosen


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
            if not circle.suffices(most, now):
                circle.look_around(now, look)
            return circle.serve(most)

    def drop(self, queue: QueueName, empty: Collection[Lane]) -> None:
        """Leave out lanes that had less than their share."""
        circle = self._circles[queue]
        with circle.lock:
            circle.lanes = deque(lane for lane in circle.lanes if lane not in empty)
