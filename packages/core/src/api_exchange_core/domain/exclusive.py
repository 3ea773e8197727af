"""Functions that may run once at a time for a message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from api_exchange_core.domain.errors import DeclarationError

_SHORTEST_LEASE = timedelta(seconds=1)
_LONGEST_LEASE = timedelta(hours=12)  # SQS, ChangeMessageVisibility: a message is hidden for 12 hours at most


class OnLost(StrEnum):
    """What becomes of a message whose run began and came to no end, since its process died or hangs."""

    RERUN = "rerun"
    """Run it again."""

    HOLD = "hold"
    """Leave it in its queue until an operator releases it or gives it up."""

    DEAD_LETTER = "dead_letter"
    """Do not run it again: what it does to others may be done already."""


@dataclass(frozen=True, slots=True)
class Exclusive:
    """A function takes its message's row in the journal before it runs, and nobody else runs it meanwhile.

    Args:
        lease: how long a claim holds without being renewed, from a second to 12 hours. A process that lives renews
            it in time, so this is how long the message of a process that died stays away.
        on_lost: what becomes of a message whose lease ran out.

    Raises:
        DeclarationError: a value out of range.
    """

    lease: timedelta = timedelta(minutes=5)
    on_lost: OnLost = OnLost.RERUN

    def __post_init__(self) -> None:
        if not isinstance(self.lease, timedelta) or not _SHORTEST_LEASE <= self.lease <= _LONGEST_LEASE:
            raise DeclarationError(f"lease must be a timedelta from 1 second to 12 hours, not {self.lease!r}")
        if not isinstance(self.on_lost, OnLost):
            raise DeclarationError(
                f"on_lost is OnLost.RERUN, OnLost.HOLD or OnLost.DEAD_LETTER, not {self.on_lost!r}"
            )

    @property
    def may_run_again(self) -> bool:
        """Whether a run that came to no end may be followed by another without anybody being asked."""
        return self.on_lost is OnLost.RERUN


def exclusive_of(declared: object, *, function: str) -> Exclusive | None:
    """What *function* was declared with: True for the defaults, False for none.

    Raises:
        DeclarationError: it is neither of these nor an `Exclusive`.
    """
    if isinstance(declared, bool):
        return Exclusive() if declared else None
    if not isinstance(declared, Exclusive):
        raise DeclarationError(
            f"function {function!r}: exclusive is True or Exclusive(lease=..., on_lost=...), not {declared!r}"
        )
    return declared
