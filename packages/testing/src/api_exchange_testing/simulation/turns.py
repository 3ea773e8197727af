"""Instances that take turns: one thread, greenlets, and a switch only where a port or a processor is called."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from greenlet import getcurrent, greenlet

from api_exchange_core.domain.errors import TransientError
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.simulation.asides import set_aside
from api_exchange_testing.simulation.plan import ANYWHERE, Chooser, Event, Fault
from api_exchange_testing.simulation.story import Step

MOST_STEPS: Final = 20_000
_A_MOMENT: Final = timedelta(seconds=5)


class Crashed(BaseException):
    """An instance has ended in the middle of what it did. Nothing catches it but the simulation."""


class NeverAtRestError(AssertionError):
    """The exchange goes on for ever, or waits for what never comes."""


@dataclass(slots=True, eq=False)
class Life:
    """One life of an instance, from its start to its crash.

    Args:
        number: which instance.
        name: who it is in the story: ``B3`` is the third life of the second instance.
    """

    number: int
    name: str
    paused_until: datetime | None = None
    crashed: bool = False


@dataclass(slots=True, eq=False)
class Strand:
    """Something that an instance does beside what else it does: its work, one call of a batch, its heartbeat."""

    life: Life
    name: str
    body: greenlet
    idle: bool = False
    until: datetime | None = None
    ready: Callable[[], bool] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.body.dead

    def can_go_on(self, now: datetime) -> bool:
        """Whether it is its turn as soon as nobody else has it."""
        paused = self.life.paused_until
        if self.idle or (paused is not None and paused > now):
            return False
        if self.ready is None:
            return self.until is None or self.until <= now
        return (self.until is not None and self.until <= now) or self.ready()


@dataclass(slots=True)
class Turns:
    """Lets one strand at a time go on, and decides at each step what goes wrong.

    Args:
        chooser: says what goes wrong.
        clock: the true time.
        next_due: when something is due that an idle instance would find; None if nothing ever is.
    """

    chooser: Chooser
    clock: VirtualClock
    next_due: Callable[[], datetime | None]
    story: list[Step] = field(default_factory=list)
    _strands: list[Strand] = field(default_factory=list)
    _now: Strand | None = None
    _next: Strand | None = None
    _lives: Counter[int] = field(default_factory=Counter)
    _throttled: dict[str, datetime] = field(default_factory=dict)
    _later: list[tuple[datetime, int, Callable[[], object]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def start(self, number: int, work: Callable[[], object], context: Callable[[Life], Context]) -> Life:
        """Let an instance live: *work* is called again and again; what it answers is whether it did anything.

        Args:
            number: which instance.
            work: a round of it.
            context: makes what it runs in, as a thread of its own would.
        """
        self._lives[number] += 1
        life = Life(number, f"{chr(ord('A') + number)}{self._lives[number]}")
        strand = Strand(life, "", greenlet(lambda: self._live_on(strand, work)))
        strand.body.gr_context = context(life)
        self._strands.append(strand)
        return life

    def spawn(self, name: str, work: Callable[[], object]) -> Strand:
        """Let the instance that has its turn do *work* beside what it does."""
        me = self._me()
        strand = Strand(me.life, name, greenlet(lambda: _to_its_end(me.life, work), me.body.parent))
        strand.body.gr_context = copy_context()
        self._strands.append(strand)
        return strand

    def later(self, at: datetime, action: Callable[[], object]) -> None:
        """Have the outside world do something at a time, or when that has come to be the past."""
        heapq.heappush(self._later, (at, next(self._numbers), action))

    def run(self) -> Life | None:
        """Go on until all instances are at rest, or one has crashed.

        Returns:
            The one that crashed, which is no longer there; None if all are at rest.

        Raises:
            NeverAtRestError: this takes too many steps, or somebody waits for what never comes.
        """
        while (strand := self._whose()) is not None:
            self._now = strand
            strand.body.switch()
            self._now = None
            if strand.life.crashed:
                self._bury(strand.life)
                return strand.life
            if strand.is_over:
                self._strands.remove(strand)
        waiting = [f"{one.life.name} {one.name}".strip() for one in self._strands if not one.idle]
        if waiting:
            raise NeverAtRestError(f"{', '.join(waiting)} waits for what never comes: a deadlock")
        return None

    def close(self) -> None:
        """End all instances."""
        for life in {strand.life for strand in self._strands}:
            life.crashed = True
            self._bury(life)

    def wait(self, *, until: datetime | None = None, ready: Callable[[], bool] | None = None) -> None:
        """Let others go on until a time has come, or something holds, whichever is first.

        Raises:
            Crashed: the instance has ended meanwhile.
        """
        me = self._me()
        me.until, me.ready = until, ready
        self._let_others(me)
        me.until = me.ready = None

    def step(
        self,
        life: Life,
        name: str,
        arguments: Sequence[object] = (),
        possible: Sequence[Fault] = ANYWHERE,
    ) -> Step:
        """A call by *life*.

        Returns:
            The step, with what goes wrong there if the caller has to see to it.

        Raises:
            Crashed: the instance ends here, or has ended already.
            TransientError: the call is refused.
        """
        me = self._now
        if life.crashed or me is None or getcurrent() is not me.body:
            raise Crashed
        number = len(self.story) + 1
        if number > MOST_STEPS:
            raise NeverAtRestError(f"not at rest after {MOST_STEPS:,} steps")
        event = self.chooser.event(number, possible)
        step = Step(number, self.clock.now(), life.name, name, arguments, event)
        self.story.append(step)
        if event is not None:
            self._happen(me, step, event)
        if self._throttled:
            self._refuse_throttled(name)
        return step

    def crash(self, life: Life) -> None:
        """End *life* here.

        Raises:
            Crashed: always.
        """
        life.crashed = True
        raise Crashed

    def _happen(self, me: Strand, step: Step, event: Event) -> None:
        match event.fault:
            case Fault.SWITCH:
                now = self.clock.now()
                others = [one for one in self._strands if one is not me and one.can_go_on(now)]
                if others:
                    self._next = others[event.amount % len(others)]
                    self._let_others(me)
            case Fault.PAUSE:
                me.life.paused_until = self.clock.now() + timedelta(seconds=event.amount)
                self._let_others(me)
            case Fault.SLOW:
                self.wait(until=self.clock.now() + timedelta(seconds=event.amount))
            case Fault.CRASH_BEFORE:
                self.crash(me.life)
            case Fault.REFUSE:
                raise TransientError("the simulation refuses this call")
            case Fault.THROTTLE:
                until = self.clock.now() + timedelta(seconds=event.amount)
                self._throttled[_port(step.name)] = until
                raise TransientError("the simulation throttles this port")

    def _refuse_throttled(self, name: str) -> None:
        until = self._throttled.get(_port(name))
        if until is not None and self.clock.now() < until:
            raise TransientError("the simulation throttles this port")

    def _me(self) -> Strand:
        if self._now is None:
            raise RuntimeError("no instance has its turn: this is called from outside of the simulation")
        return self._now

    def _let_others(self, me: Strand) -> None:
        hub = me.body.parent
        if hub is None:
            raise RuntimeError("this is called from outside of the simulation")
        with set_aside():
            hub.switch()
        if me.life.crashed:
            raise Crashed

    def _live_on(self, strand: Strand, work: Callable[[], object]) -> None:
        def live() -> None:
            while True:
                if work():
                    self._wake()
                else:
                    strand.idle = True
                    self._let_others(strand)

        _to_its_end(strand.life, live)

    def _bury(self, life: Life) -> None:
        """End what is left of a life: everything it does ends where it is."""
        for strand in [one for one in self._strands if one.life is life]:
            if strand.body:
                self._now = strand
                strand.body.throw(Crashed)
            self._strands.remove(strand)
        self._now = None

    def _whose(self) -> Strand | None:
        """Who goes on; lets time pass if nobody can before."""
        while True:
            now = self.clock.now()
            self._act(now)
            chosen, self._next = self._next, None
            if chosen is not None and chosen.can_go_on(now):
                return chosen
            for strand in self._strands:
                if strand.can_go_on(now):
                    return strand
            moment = self._next_moment(now)
            if moment is None:
                return None
            self.clock.advance_to(max(moment, now))
            self._wake()

    def _act(self, now: datetime) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, action = heapq.heappop(self._later)
            action()
            self._wake()

    def _next_moment(self, now: datetime) -> datetime | None:
        """When somebody wakes, or something is due that somebody who is awake would find."""
        due = [self._later[0][0]] if self._later else []
        awake = False
        for strand in self._strands:
            paused = strand.life.paused_until
            if paused is not None and paused > now:
                due.append(paused)
            else:
                awake = awake or strand.idle
                if strand.until is not None and strand.until > now:
                    due.append(strand.until)
        found = self.next_due() if awake else None
        if found is not None:
            # What is due and was not found is not due yet by a clock that is wrong.
            due.append(found if found > now else now + _A_MOMENT)
        return min(due, default=None)

    def _wake(self) -> None:
        for strand in self._strands:
            strand.idle = False


def _to_its_end(life: Life, work: Callable[[], object]) -> None:
    try:
        work()
    except Crashed:
        life.crashed = True


def _port(name: str) -> str:
    return name.partition(".")[0]
