"""In which order the messages of a queue are received."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator


class Order:
    """The sequence numbers that wait, by session, lowest first.

    A message that left while it waited is passed over when its number comes up.

    Args:
        is_free: whether the message of a number can be received.
    """

    def __init__(self, is_free: Callable[[int], bool]) -> None:
        self._is_free = is_free
        self._waiting: dict[str | None, list[int]] = {}

    def add(self, number: int, session_id: str | None) -> None:
        """Let a message wait, in the place that its number gives it."""
        heapq.heappush(self._waiting.setdefault(session_id, []), number)

    def pop(self, session_id: str | None) -> int | None:
        """Let the next message of a session wait no more; None if none waits."""
        number = self.first(session_id)
        if number is not None:
            heapq.heappop(self._waiting[session_id])
        return number

    def first(self, session_id: str | None) -> int | None:
        """The message of a session that is next; None if none waits."""
        waiting = self._waiting.get(session_id)
        while waiting:
            if self._is_free(waiting[0]):
                return waiting[0]
            heapq.heappop(waiting)
        self._waiting.pop(session_id, None)
        return None

    def sessions(self) -> Iterator[str]:
        """The sessions in which a message waits, the one with the oldest message first."""
        firsts = [(self.first(session_id), session_id) for session_id in list(self._waiting)]
        waiting = [(number, name) for number, name in firsts if number is not None and name is not None]
        return (name for _, name in sorted(waiting))
