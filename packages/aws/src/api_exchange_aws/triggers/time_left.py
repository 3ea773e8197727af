"""How long an invocation may still take."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, Self

from api_exchange_core.domain.deadline import Deadline

_MOST_RESERVED: Final = 5
"""A reserve is at most this part of the time that there was; a short function would begin nothing otherwise."""


class LambdaContext(Protocol):
    """What the runtime hands over with each event ("Using the Lambda context object", AWS Lambda)."""

    @abstractmethod
    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is ended, whatever it does."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """The time of one invocation.

    Args:
        context: knows how much is left.
        reserve: time at the end in which nothing new is begun: it is for committing and settling.
    """

    context: LambdaContext
    reserve: timedelta

    @classmethod
    def of(cls, context: LambdaContext, reserve: timedelta) -> Self:
        """The time of the invocation that has just begun."""
        return cls(context, min(reserve, _left(context) / _MOST_RESERVED))

    def is_short(self) -> bool:
        """Whether nothing new is to be begun."""
        return _left(self.context) < self.reserve

    def is_over(self) -> bool:
        """Whether it is too late even to give back what was not begun."""
        return _left(self.context) < self.reserve / 2

    def deadline(self, now: datetime) -> Deadline:
        """When calls that are begun must have come to their end."""
        return Deadline(now + self.until_reserve)

    @property
    def until_reserve(self) -> timedelta:
        """What is left without the reserve; never less than nothing."""
        return max(_left(self.context) - self.reserve, timedelta(0))


def _left(context: LambdaContext) -> timedelta:
    return timedelta(milliseconds=context.get_remaining_time_in_millis())
