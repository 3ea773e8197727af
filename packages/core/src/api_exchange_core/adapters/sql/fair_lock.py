"""A lock that serves first come, first served."""

from __future__ import annotations

import threading
from collections import deque


class FairLock:
    """Handed on in the order in which it was asked for, so that no thread starves. Not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._held = False

    @property
    def waiting(self) -> int:
        """How many threads wait for it."""
        return len(self._waiting)

    def acquire(self, *, timeout: float) -> bool:
        """Wait at most *timeout* seconds; whether the lock is ours now."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
            return True  # it was handed to us as the time ran out

    def release(self) -> None:
        """Hand it to whoever has waited longest. Any thread may do so."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False
