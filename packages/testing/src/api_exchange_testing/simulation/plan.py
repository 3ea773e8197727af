"""What goes wrong, and when: chosen by a seed, by Hypothesis, or by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol


class Fault(StrEnum):
    """Something that happens at a step of the simulation, which is a call of a port."""

    SWITCH = "switch"
    """Another instance goes on from here."""
    PAUSE = "pause"
    """The instance stands still (a stop-the-world, a frozen function), and the world goes on without it."""
    CRASH_BEFORE = "crash before"
    """The instance ends before the call has taken effect, and a new one takes its place."""
    CRASH_AFTER = "crash after"
    """The instance ends when the call has taken effect, and before it hears of it."""
    REFUSE = "refuse"
    """The call fails for now, and has no effect: throttling, a network that is down."""
    LOSE_ANSWER = "lose answer"
    """The call takes effect, and the caller is told that it failed."""
    DUPLICATE = "duplicate"
    """What is sent arrives twice."""
    DELAY = "delay"
    """What is sent arrives late, and so behind what was sent after it."""
    TEAR = "tear"
    """Of a batch that is sent, only the first part arrives, and the caller is told that it failed."""


ANYWHERE: Final = (
    Fault.SWITCH,
    Fault.PAUSE,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.REFUSE,
    Fault.LOSE_ANSWER,
)
WHEN_SENDING: Final = (*ANYWHERE, Fault.DUPLICATE, Fault.DELAY, Fault.TEAR)

MOST: Final = 1_000
"""Largest amount of an event."""


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """A fault at a step.

    Args:
        step: which call of a port, counted from 1 over all instances.
        fault: what happens.
        amount: how much of it, from 0 to `MOST`: seconds of a pause or delay; which instance goes on.
    """

    step: int
    fault: Fault
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All that goes wrong in one simulation.

    Args:
        events: at most one a step.
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
        self._by_step = {event.step: event for event in self.plan.events}

    def skew(self, instance: int) -> int:
        """As `Chooser.skew`."""
        return self.plan.skew[instance] if instance < len(self.plan.skew) else 0

    def event(self, step: int, possible: Sequence[Fault]) -> Event | None:
        """As `Chooser.event`."""
        event = self._by_step.get(step)
        return event if event is not None and event.fault in possible else None


_QUIET: Final = 0.85
_ODDS: Final[Mapping[Fault, int]] = {
    Fault.SWITCH: 12,
    Fault.PAUSE: 3,
    Fault.CRASH_BEFORE: 2,
    Fault.CRASH_AFTER: 3,
    Fault.REFUSE: 1,
    Fault.LOSE_ANSWER: 2,
    Fault.DUPLICATE: 3,
    Fault.DELAY: 3,
    Fault.TEAR: 2,
}
_SECONDS: Final = (0, 1, 10, 70, 400)
_SKEWS: Final = (0, 0, -30, -5, 5, 30)
_MOST_FAULTS: Final = 25


class Seeded:
    """Chooses by a seed, and remembers what it chose, so that it can be followed, and shortened, as a plan.

    Args:
        seed: the same seed makes the same choices.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable is what it is for
        self._events: list[Event] = []
        self._faults = 0
        self._skew = tuple(self._random.choice(_SKEWS) for _ in range(8))
        self._odds: dict[int, list[int]] = {}

    @property
    def plan(self) -> Plan:
        """What was chosen so far."""
        return Plan(tuple(self._events), self._skew)

    def skew(self, instance: int) -> int:
        """As `Chooser.skew`."""
        return self._skew[instance] if instance < len(self._skew) else 0

    def event(self, step: int, possible: Sequence[Fault]) -> Event | None:
        """As `Chooser.event`."""
        chance = self._random.random()
        if chance < _QUIET or self._faults >= _MOST_FAULTS:
            return None
        odds = self._odds.setdefault(len(possible), [_ODDS[fault] for fault in possible])
        (fault,) = self._random.choices(possible, odds)
        amount = self._random.choice(_SECONDS) if fault is not Fault.SWITCH else self._random.randrange(8)
        self._faults += fault is not Fault.SWITCH
        self._events.append(Event(step, fault, amount))
        return self._events[-1]
