"""How often a function tries again, and how long it stays away in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from api_exchange_core.domain.errors import DeclarationError

_MOST_QUICK_RETRIES = 10
_LONGEST_BUDGET = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, for a limited number of attempts.

    Full jitter draws each wait from zero up to the backoff, so that messages that failed together do not come
    back together: "Exponential Backoff And Jitter", AWS Architecture Blog.

    Args:
        max_attempts: runs in all, the first one included; at least 1.
        base_delay: the longest wait after the first attempt.
        max_delay: no wait is longer. The default is also the longest that SQS can hold a message back.
        multiplier: how the longest wait grows from one attempt to the next; at least 1.
        quick_retries: how often a call that failed for now is made again at once, within the same attempt and
            process: for what passes in a moment, such as a connection that was just closed.
        quick_budget: no quick retry begins later than this after the call began; at most a minute, since all of
            the batch waits for it.

    Raises:
        DeclarationError: a value out of range.
    """

    max_attempts: int = 5
    base_delay: timedelta = timedelta(seconds=2)
    max_delay: timedelta = timedelta(minutes=15)
    multiplier: float = 2.0
    quick_retries: int = 0
    quick_budget: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        if type(self.max_attempts) is not int or self.max_attempts < 1:
            raise DeclarationError(
                f"max_attempts counts the first run too: use a whole number from 1, not {self.max_attempts!r}"
            )
        if not _is_at_least(self.base_delay, timedelta.resolution):
            raise DeclarationError(
                f"base_delay must be a timedelta longer than zero, not {self.base_delay!r}"
            )
        if not _is_at_least(self.max_delay, self.base_delay):
            raise DeclarationError(
                f"max_delay must be a timedelta no shorter than base_delay, {self.base_delay!r}, "
                f"not {self.max_delay!r}"
            )
        if type(self.multiplier) not in (int, float) or not 1 <= self.multiplier < math.inf:
            raise DeclarationError(f"multiplier must be a finite number from 1 on, not {self.multiplier!r}")
        if type(self.quick_retries) is not int or not 0 <= self.quick_retries <= _MOST_QUICK_RETRIES:
            raise DeclarationError(
                f"quick_retries must be a whole number from 0 to {_MOST_QUICK_RETRIES}, not {self.quick_retries!r}"
            )
        if not _is_at_least(self.quick_budget, timedelta.resolution) or self.quick_budget > _LONGEST_BUDGET:
            raise DeclarationError(
                f"quick_budget must be a timedelta from above 0 to {_LONGEST_BUDGET}, not {self.quick_budget!r}"
            )

    @classmethod
    def never(cls) -> RetryPolicy:
        """One attempt; a failure is a dead letter at once."""
        return cls(max_attempts=1)

    def exhausted(self, attempt: int) -> bool:
        """Whether attempt number *attempt*, counted from 1, was the last."""
        return _counted(attempt) >= self.max_attempts

    def delay(self, attempt: int, *, random: Callable[[], float]) -> timedelta:
        """How long to wait after attempt number *attempt*, counted from 1, has failed.

        Args:
            attempt: may lie beyond `max_attempts`.
            random: gives a number from 0 to 1, drawn evenly, as `random.random` does.
        """
        return self._longest(_counted(attempt)) * random()

    def quick_delay(
        self, retry: int, *, spent: timedelta, asked: timedelta | None, random: Callable[[], float]
    ) -> timedelta | None:
        """How long to wait before quick retry number *retry*, counted from 1; None if there is none.

        Full jitter, too; the waits of all quick retries together take at most half of the budget.

        Args:
            retry: which one.
            spent: how long ago the first call of this attempt began.
            asked: the wait that the error asked for. It is kept, or there is no quick retry.
            random: as in `delay`.
        """
        if _counted(retry) > self.quick_retries:
            return None
        wait = self.quick_budget / (2 * self.quick_retries) * random() if asked is None else asked
        return wait if spent + wait < self.quick_budget else None

    def _longest(self, attempt: int) -> timedelta:
        try:
            seconds = self.base_delay.total_seconds() * float(self.multiplier) ** (attempt - 1)
        except OverflowError:  # beyond what a float can hold, so beyond any max_delay
            return self.max_delay
        return timedelta(seconds=seconds) if seconds < self.max_delay.total_seconds() else self.max_delay


def _counted(attempt: int) -> int:
    if attempt < 1:
        raise ValueError(f"attempts are counted from 1, not {attempt!r}")
    return attempt


def _is_at_least(value: object, shortest: timedelta) -> bool:
    return isinstance(value, timedelta) and value >= shortest
