"""How many requests of a tenant are taken in at most."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.domain.errors import DeclarationError

_MOST: Final = 1_000_000
_LONGEST: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IntakeLimit:
    """A bucket of tokens a tenant, kept by each process for itself: with three processes, three times as many.

    Args:
        requests: as many at once, and as many in each span.
        per: the span in which an empty bucket fills again.

    Raises:
        DeclarationError: a value out of range.
    """

    requests: int
    per: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        if type(self.requests) is not int or not 1 <= self.requests <= _MOST:
            raise DeclarationError(f"an intake limit is 1 to {_MOST:,} requests, not {self.requests!r}")
        if not isinstance(self.per, timedelta) or not timedelta(milliseconds=1) <= self.per <= _LONGEST:
            raise DeclarationError(
                f"an intake limit is for a timedelta from 1 ms to {_LONGEST}, not {self.per!r}"
            )

    def after(self, full_at: datetime, now: datetime) -> datetime | timedelta:
        """One request more, at *now*.

        Args:
            full_at: when the bucket is, or was, full again.
            now: the present.

        Returns:
            When the bucket is full again after this request; or, if it is empty, how long until it is not.
        """
        token = self.per / self.requests
        next_full = max(full_at, now) + token
        wait = next_full - now - self.per
        return wait if wait > timedelta(0) else next_full
