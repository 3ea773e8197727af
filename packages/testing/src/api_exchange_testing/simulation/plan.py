"""What goes wrong, and when: chosen by a seed, by Hypothesis, or by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import accumulate
from typing import Final, Protocol


class Fault(StrEnum):
    """Something that happens at a step of the simulation, which is a call of a port or of a processor."""

    SWITCH = "switch"
    """Somebody else goes on from here: another instance, or another call of the same batch."""
    PAUSE = "pause"
    """The whole instance stands still (a stop-the-world, a frozen function), and the world goes on without it."""
    SLOW = "slow"
    """The call takes its time. The rest of its instance goes on: what is in hand is renewed, if anybody does."""
    CRASH_BEFORE = "crash before"
    """The instance ends before the call has taken effect, and a new one takes its place."""
    CRASH_AFTER = "crash after"
    """The instance ends when the call has taken effect, and before it hears of it."""
    REFUSE = "refuse"
    """The call fails for now, and has no effect: a network that is down, a connection that was just closed."""
    THROTTLE = "throttle"
    """The call is refused, and so are all others of that port, whoever makes them, for a time."""
    LOSE_ANSWER = "lose answer"
    """The call takes effect, and the caller is told that it failed."""
    DUPLICATE = "duplicate"
    """What is sent arrives twice."""
    DELAY = "delay"
    """What is sent arrives late, and so behind what was sent after it."""
    TEAR = "tear"
    """Only the first part of a batch is sent, or settled, and the caller is told that it failed."""
    REORDER = "reorder"
    """What is received comes in another order; messages with one ordering key never are in one batch."""


ANYWHERE: Final = (
    Fault.SWITCH,
    Fault.PAUSE,
    Fault.SLOW,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.REFUSE,
    Fault.THROTTLE,
    Fault.LOSE_ANSWER,
)
WHEN_SENDING: Final = (*ANYWHERE, Fault.DUPLICATE, Fault.DELAY, Fault.TEAR)
WHEN_SETTLING: Final = (*ANYWHERE, Fault.TEAR)
WHEN_RECEIVING: Final = (*ANYWHERE, Fault.REORDER)
WHEN_PROCESSING: Final = tuple(fault for fault in ANYWHERE if fault is not Fault.THROTTLE)
WHEN_WAITING: Final = (Fault.SWITCH, Fault.PAUSE, Fault.CRASH_BEFORE)

MOST: Final = 1_000
"""Largest amount of an event."""


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """A fault at a step.

    Args:
        step: which one, counted from 1 over all instances.
        fault: what happens.
        amount: how much of it, from 0 to `MOST`: seconds of a pause, a delay or a throttling; who goes on; how much
            of a batch comes through.

    Raises:
        ValueError: a step or an amount out of range.
    """

    step: int
    fault: Fault
    amount: int = 0

    def __post_init__(self) -> None:
        if self.step < 1 or not 0 <= self.amount <= MOST:
            raise ValueError(f"steps count from 1, and amounts go from 0 to {MOST}, not {self!r}")


@dataclass(frozen=True, slots=True)
class Plan:
    """All that goes wrong in one simulation.

    Args:
        events: at most one a step, the first of several counts.
        skew: by how many seconds the clock of each instance is wrong; those beyond its end are right.
    """

    events: tuple[Event, ...] = ()
    skew: tuple[int, ...] = ()

    def without(self, indexes: Iterable[int]) -> Plan:
        """The plan less the events at *indexes*."""
        left_out = set(indexes)
        kept = tuple(event for index, event in enumerate(self.events) if index not in left_out)
        return Plan(kept, self.skew)


class Chooser(Protocol):
    """Says what happens at each step."""

    @property
    def plan(self) -> Plan:
        """All that was chosen so far, to be followed again."""

    def skew(self, instance: int) -> int:
        """By how many seconds an instance's clock is wrong."""

    def event(self, step: int, possible: Sequence[Fault]) -> Event | None:
        """What happens at *step*, of what can."""


@dataclass(slots=True)
class Planned:
    """Follows a plan; an event that cannot happen at its step does not."""

    plan: Plan
    _by_step: Mapping[int, Event] = field(init=False)

    def __post_init__(self) -> None:
        self._by_step = {event.step: event for event in reversed(self.plan.events)}

    def skew(self, instance: int) -> int:
        """As `Chooser.skew`."""
        return self.plan.skew[instance] if instance < len(self.plan.skew) else 0

    def event(self, step: int, possible: Sequence[Fault]) -> Event | None:
        """As `Chooser.event`."""
        event = self._by_step.get(step)
        return event if event is not None and event.fault in possible else None


_OFTEN: Final = (0.03, 0.08, 0.15)
"""The chance of an event at a step, of which a seed has one: with rare faults some are left for late steps."""
_ODDS: Final[Mapping[Fault, int]] = {
    Fault.SWITCH: 24,
    Fault.PAUSE: 5,
    Fault.SLOW: 3,
    Fault.CRASH_BEFORE: 4,
    Fault.CRASH_AFTER: 6,
    Fault.REFUSE: 1,
    Fault.THROTTLE: 1,
    Fault.LOSE_ANSWER: 4,
    Fault.DUPLICATE: 6,
    Fault.DELAY: 6,
    Fault.TEAR: 4,
    Fault.REORDER: 3,
}
_SECONDS: Final = (0, 1, 10, 70, 400)
_SKEWS: Final = (0, 0, -30, -5, 5, 30)
_MOST_FAULTS: Final = 25
_COUNTED: Final = (Fault.SWITCH, Fault.TEAR, Fault.REORDER)
_HARMLESS: Final = (Fault.SWITCH, Fault.DUPLICATE, Fault.DELAY, Fault.REORDER)
_MOST_HARM: Final = 4
"""How many faults of a seed may cost a message an attempt. With as many as it has attempts it may become a dead letter,
which is no bug; plans of Hypothesis, and those made by hand, go farther."""
_LONGEST_THROTTLE: Final = 10


@cache
def _cumulated(possible: tuple[Fault, ...]) -> Sequence[int]:
    return list(accumulate(_ODDS[fault] for fault in possible))


class Seeded:
    """Chooses by a seed, and remembers what it chose, so that it can be followed, and shortened, as a plan.

    Args:
        seed: the same seed makes the same choices.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable is what it is for
        self._events: list[Event] = []
        self._faults = 0
        self._harm = 0
        self._skew = tuple(self._random.choice(_SKEWS) for _ in range(8))
        self._often = self._random.choice(_OFTEN)
        self._next = self._after(0)

    @property
    def plan(self) -> Plan:
        """What was chosen so far."""
        return Plan(tuple(self._events), self._skew)

    def skew(self, instance: int) -> int:
        """As `Chooser.skew`."""
        return self._skew[instance] if instance < len(self._skew) else 0

    def event(self, step: int, possible: Sequence[Fault]) -> Event | None:
        """As `Chooser.event`."""
        if step < self._next or self._faults >= _MOST_FAULTS:
            return None
        self._next = self._after(step)
        (fault,) = self._random.choices(possible, cum_weights=_cumulated(tuple(possible)))
        if fault not in _HARMLESS:
            if self._harm == _MOST_HARM:
                return None
            self._harm += 1
        self._faults += fault is not Fault.SWITCH
        self._events.append(Event(step, fault, self._amount(fault)))
        return self._events[-1]

    def _amount(self, fault: Fault) -> int:
        if fault in _COUNTED:
            return self._random.randrange(8)
        seconds = self._random.choice(_SECONDS)
        return min(seconds, _LONGEST_THROTTLE) if fault is Fault.THROTTLE else seconds

    def _after(self, step: int) -> int:
        """The next step at which something happens: as if each step drew for itself, drawn once."""
        step += 1
        while self._random.random() >= self._often:
            step += 1
        return step
