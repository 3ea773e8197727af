"""The broker's time: that of the machine, and whatever a test has let pass besides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from typing_extensions import override

from api_exchange_core.ports.clock import Clock


class ShiftedClock(Clock):
    """Runs with the machine's clock, ahead of it by what it was advanced."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    @override
    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        """Let *by* pass at once.

        Raises:
            ValueError: *by* is negative.
        """
        if by < timedelta(0):
            raise ValueError(f"time does not go back, and {by!r} is negative")
        self._ahead += by
