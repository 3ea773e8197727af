"""Waking those who wait for work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta


class Bell:
    """Rung when there may be work, so that idle workers of this process need not poll often."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it has been rung; read it before looking for work, and hand it to `wait`."""
        return self._rings

    def ring(self) -> None:
        """Wake all who wait."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, heard: int, *, at_most: timedelta) -> None:
        """Return when it has been rung since *heard*, or after *at_most*."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != heard, at_most.total_seconds())

    def rest(self, length: timedelta, *, stopping: Callable[[], bool]) -> None:
        """Return after *length*, however often it is rung meanwhile, or at a ring after which `stopping` is true."""
        until = time.monotonic() + length.total_seconds()
        with self._condition:
            while not stopping() and (left := until - time.monotonic()) > 0:
                self._condition.wait(left)
