"""Time that passes when a test says so."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from api_exchange_core.ports.clock import Clock


class VirtualClock(Clock):
    """Stands still until it is advanced, and never goes back.

    Args:
        start: the first `now`, aware.

    Raises:
        ValueError: *start* is naive.
    """

    def __init__(self, start: datetime) -> None:
        if start.utcoffset() is None:
            raise ValueError(f"a clock starts at an aware time, not {start!r}; give it a tzinfo such as UTC")
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    @override
    def __repr__(self) -> str:
        return f"VirtualClock({self._now.isoformat()})"

    @override
    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Let *by* pass.

        Raises:
            ValueError: *by* is negative.
        """
        if by < timedelta(0):
            raise ValueError(f"time does not go back, and {by!r} is negative")
        with self._lock:
            self._now += by

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until *moment*.

        Raises:
            ValueError: *moment* is naive or over.
        """
        if moment.utcoffset() is None:
            raise ValueError(f"a clock is advanced to an aware time, not {moment!r}")
        with self._lock:
            if moment < self._now:
                raise ValueError(f"time does not go back: it is {self._now}, and {moment} is over")
            self._now = moment.astimezone(UTC)
