"""How fast: so many a second at most, from a slow start on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import isfinite

from api_exchange_core.domain.errors import DeclarationError

_FIRST = 1.0
"""A ramp starts with so many a second, or with the rate itself if it is less."""

_BURST = timedelta(milliseconds=100)
"""What falls into so much time goes in one batch."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate that is reached by and by, so that what broke once is not broken again by everything at once.

    What is not used is lost: after a pause it goes on at the rate, and does not catch up.

    Args:
        per_second: the rate; over any span it is exceeded by one batch at most, a tenth of a second's worth.
        ramp: how long it takes to be reached.

    Raises:
        DeclarationError: the rate is no positive number, or the ramp negative.
    """

    per_second: float
    ramp: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if not isfinite(self.per_second) or self.per_second <= 0:
            raise DeclarationError(f"a rate is more than 0 a second, not {self.per_second!r}")
        if self.ramp < timedelta(0):
            raise DeclarationError(f"a ramp takes no negative time, and {self.ramp} is one")

    def at(self, elapsed: timedelta) -> float:
        """The rate a second, *elapsed* after the start."""
        if elapsed >= self.ramp:
            return self.per_second
        return max(min(_FIRST, self.per_second), self.per_second * (elapsed / self.ramp))

    def batch(self, elapsed: timedelta, *, most: int) -> int:
        """How many go at once then; at least one."""
        return max(1, min(most, int(self.at(elapsed) * _BURST.total_seconds())))

    def pause(self, number: int, elapsed: timedelta) -> timedelta:
        """How long after a batch of *number* the next may go, that began *elapsed* after the start."""
        return timedelta(seconds=number / self.at(elapsed))
