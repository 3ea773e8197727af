"""Instances that take turns: one thread, greenlets, and a switch only where a port is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from greenlet import getcurrent, greenlet
from typing_extensions import override

from api_exchange_core.domain.errors import TransientError
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.simulation.plan import ANYWHERE, Chooser, Event, Fault

MOST_STEPS: Final = 20_000
_A_MOMENT: Final = timedelta(seconds=1)


class Crashed(BaseException):
    """An instance has ended in the middle of what it did. Nothing catches it but the simulation."""


class NeverAtRestError(AssertionError):
    """The exchange goes on for ever."""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the story: who did what, and what went wrong there."""

    number: int
    at: datetime
    who: str
    what: str
    event: Event | None

    @override
    def __str__(self) -> str:
        fault = "" if self.event is None else f"  <-- {_told(self.event)}"
        return f"{self.number:>5}  {self.at:%H:%M:%S}  {self.who:<12}  {self.what}{fault}"


@dataclass(slots=True, eq=False)
class Turn:
    """One life of an instance, from its start to its crash.

    Args:
        number: which instance.
        name: who it is in the story: ``B3`` is the third life of the second instance.
    """

    number: int
    name: str
    body: greenlet
    idle: bool = False
    paused_until: datetime | None = None
    crashed: bool = False


@dataclass(slots=True)
class Turns:
    """Lets one instance at a time go on, and decides at each step what goes wrong.

    Args:
        chooser: says what goes wrong.
        clock: the true time.
        next_due: when something is due that an idle instance would find; None if nothing ever is.
    """

    chooser: Chooser
    clock: VirtualClock
    next_due: Callable[[], datetime | None]
    story: list[Step] = field(default_factory=list)
    _live: list[Turn] = field(default_factory=list)
    _now: Turn | None = None
    _alone: bool = False
    _lives: Counter[int] = field(default_factory=Counter)

    def start(self, number: int, work: Callable[[], object]) -> Turn:
        """Let an instance live: *work* is called again and again; what it answers is whether it did anything."""
        self._lives[number] += 1
        name = f"{chr(ord('A') + number)}{self._lives[number]}"
        turn = Turn(number, name, greenlet(lambda: self._live_on(turn, work)))
        self._live.append(turn)
        return turn

    def run(self) -> Turn | None:
        """Go on until all instances are at rest, or one has crashed.

        Returns:
            The one that crashed, which is no longer there; None if all are at rest.

        Raises:
            NeverAtRestError: this takes too many steps.
        """
        while (turn := self._whose()) is not None:
            self._now = turn
            turn.body.switch()
            if turn.crashed:
                self._live.remove(turn)
                self._now = None
                return turn
        return None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within the block nothing goes wrong and nobody else goes on."""
        before, self._alone = self._alone, True
        try:
            yield
        finally:
            self._alone = before

    def give_way(self) -> None:
        """Let somebody else go on."""
        self._now = None
        self._switch()

    def step(self, turn: Turn, what: str, possible: Sequence[Fault] = ANYWHERE) -> Event | None:
        """A call of a port by *turn*.

        Returns:
            What goes wrong there, if the caller has to see to it.

        Raises:
            Crashed: the instance ends here, or has ended already.
            TransientError: the call is refused.
        """
        if turn.crashed or getcurrent() is not turn.body:
            raise Crashed
        number = len(self.story) + 1
        if number > MOST_STEPS:
            raise NeverAtRestError(f"not at rest after {MOST_STEPS:,} steps")
        event = None if self._alone else self.chooser.event(number, possible)
        self.story.append(Step(number, self.clock.now(), turn.name, what, event))
        return None if event is None else self._happen(turn, event)

    def crash(self, turn: Turn) -> None:
        """End *turn* here.

        Raises:
            Crashed: always.
        """
        turn.crashed = True
        raise Crashed

    def _happen(self, turn: Turn, event: Event) -> Event | None:
        match event.fault:
            case Fault.SWITCH:
                self._now = self._live[event.amount % len(self._live)]
                self._switch()
                return None
            case Fault.PAUSE:
                turn.paused_until = self.clock.now() + timedelta(seconds=event.amount)
                self.give_way()
                return None
            case Fault.CRASH_BEFORE:
                self.crash(turn)
            case Fault.REFUSE:
                raise TransientError("the simulation refuses this call")
        return event

    def _live_on(self, turn: Turn, work: Callable[[], object]) -> None:
        try:
            while True:
                turn.idle = not work()
                if turn.idle:
                    self.give_way()
                else:
                    self._wake()
        except Crashed:
            turn.crashed = True

    def _switch(self) -> None:
        parent = getcurrent().parent
        if parent is not None:
            parent.switch()

    def _whose(self) -> Turn | None:
        """Who goes on; lets time pass if nobody can before."""
        while True:
            now = self.clock.now()
            ready = [turn for turn in self._live if not turn.idle and _is_awake(turn, now)]
            if ready:
                return self._now if self._now in ready else ready[0]
            moment = self._next_moment(now)
            if moment is None:
                return None
            self.clock.advance_to(moment)
            self._wake()

    def _next_moment(self, now: datetime) -> datetime | None:
        """When somebody wakes from a pause, or something is due that somebody who is awake would find."""
        due = [turn.paused_until for turn in self._live if turn.paused_until and turn.paused_until > now]
        found = self.next_due()
        if found is not None and any(_is_awake(turn, now) for turn in self._live):
            due.append(max(found, now + _A_MOMENT))  # due by the true clock, and not yet by a wrong one
        return min(due, default=None)

    def _wake(self) -> None:
        for turn in self._live:
            turn.idle = False


def _is_awake(turn: Turn, now: datetime) -> bool:
    return turn.paused_until is None or turn.paused_until <= now


def _told(event: Event) -> str:
    if event.fault in (Fault.PAUSE, Fault.DELAY):
        return f"{event.fault} {event.amount} s"
    return str(event.fault)
