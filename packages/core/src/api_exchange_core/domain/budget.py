"""How often an API may be asked: so many requests in so much time, some of them at once.

The state is one time: until when the requests that were let through use up the rate (the generic cell rate algorithm,
ITU-T I.371, which lets through what a token bucket does). A request moves it on by its share of the rate, and is let
through if it is then no further ahead of the clock than a whole burst.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.domain.errors import DeclarationError

MAX_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of two instances may differ. A state that is further ahead was written by a clock that was wrong,
and counts for nothing: nobody is to wait for years because one machine woke up in 2099."""

_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """The requests that one tenant may make to one API; all instances share them.

    Over any span of time there are no more than the rate allows in it, and a burst.

    Args:
        number: of requests.
        per: in so much time.
        burst: how many at once, after a rest. By default what the rate allows in a second, at least one. Against an
            API that counts in fixed windows, ``number`` and ``burst`` together are to stay within what it allows.

    Raises:
        DeclarationError: a number or a time that is not positive, or a rate of more than one in a microsecond.
    """

    number: int
    per: timedelta = _SECOND
    burst: int | None = None

    def __post_init__(self) -> None:
        if self.number < 1 or self.per < self.number * _MICROSECOND:
            raise DeclarationError(
                f"a budget is 1 or more requests in at least a microsecond each, not {self.number} in {self.per}"
            )
        if self.burst is not None and self.burst < 1:
            raise DeclarationError(f"at least one request goes at once, and a burst of {self.burst} is none")

    @property
    def most_at_once(self) -> int:
        """How many go at once, after a rest."""
        return max(1, self._in(_SECOND)) if self.burst is None else self.burst

    @property
    def share(self) -> int:
        """How many an instance takes at a time, at most: what the rate allows in a second, and half of a burst."""
        return max(1, min(self._in(_SECOND), self.most_at_once // 2))

    def cost(self, number: int) -> timedelta:
        """How much of the rate *number* requests use up; rounded up, so that it is never exceeded."""
        return -((-number * self.per) // (self.number * _MICROSECOND)) * _MICROSECOND

    def _in(self, time: timedelta) -> int:
        return self.number * time // self.per


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What is known of the requests that were made.

    Args:
        used_until: until when they use up the rate.
        closed_until: nobody is to ask before, since the API has said so.
    """

    used_until: datetime
    closed_until: datetime

    def begins(self, budget: Budget, now: datetime) -> datetime:
        """From when on the next requests use up the rate."""
        sane = now + budget.cost(budget.most_at_once) + MAX_SKEW
        return self.used_until if now < self.used_until <= sane else now

    def free_at(self, number: int, budget: Budget, now: datetime) -> datetime:
        """When *number* requests may be made; not after *now* if they may be made at once."""
        ahead = budget.cost(budget.most_at_once) - budget.cost(number)
        return max(self.closed_until, self.begins(budget, now) - ahead)


def check_number(number: int, budget: Budget) -> None:
    """Return if *number* requests can ever be let through at once.

    Raises:
        ValueError: they cannot.
    """
    if not 1 <= number <= budget.most_at_once:
        raise ValueError(f"from 1 to {budget.most_at_once} requests are let through at once, not {number}")
