"""How much time a call has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final


def _goes_on() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a call must have come to its end.

    Args:
        at: aware UTC; after it the platform ends the function, or hands its message to somebody else. None: nobody
            has set a limit.
        is_called_off: becomes true when the process is about to end, whatever the time.
    """

    at: datetime | None = None
    is_called_off: Callable[[], bool] = _goes_on

    def is_within(self, time: timedelta, *, now: datetime) -> bool:
        """Whether less than *time* is left: what takes that long is better left to another call."""
        return self.is_called_off() or (self.at is not None and self.at - now < time)


NO_DEADLINE: Final = Deadline()
"""All the time there is."""
