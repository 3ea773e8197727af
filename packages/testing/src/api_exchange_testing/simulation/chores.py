"""The chores of a simulated deployment, and a watch on those that one instance does at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from typing_extensions import override

from api_exchange_core.application.chores import Chore, DoChore, Done
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.leases import Leases
from api_exchange_testing.simulation.turns import Life


@dataclass(frozen=True, slots=True)
class _Inside:
    """An instance in the middle of an exclusive chore."""

    life: Life
    owner: str


@dataclass(slots=True)
class WatchedLeases(Leases):
    """The leases, with a watch on who holds them, and on who does what under them.

    Attributes:
        wrong: what was seen to be wrong when it happened.
    """

    leases: Leases
    wrong: list[str] = field(default_factory=list)
    _until: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _inside: dict[str, list[_Inside]] = field(default_factory=dict)

    @override
    def take(
        self, name: str, *, owner: str, now: datetime, until: datetime, every: timedelta = timedelta(0)
    ) -> bool:
        if not self.leases.take(name, owner=owner, now=now, until=until, every=every):
            return False
        for (held, holder), ends in self._until.items():
            if held == name and holder != owner and ends > now:
                self.wrong.append(f"two at once: the lease of {name} was given away while it was held")
        self._until[name, owner] = until
        return True

    @override
    def release(self, name: str, *, owner: str, ran_at: datetime | None = None) -> None:
        self.leases.release(name, owner=owner, ran_at=ran_at)
        self._until.pop((name, owner), None)

    def watched(self, chore: Chore, owner: str, life: Life, clock: Clock) -> Chore:
        """*chore*, told of when *owner* is in the middle of it."""

        def round_() -> Done:
            with self._within(chore, _Inside(life, owner), clock):
                return chore.round()

        return replace(chore, round=round_) if chore.exclusive else chore

    @contextmanager
    def _within(self, chore: Chore, me: _Inside, clock: Clock) -> Iterator[None]:
        inside = self._inside.setdefault(chore.name, [])
        now = clock.now()
        for other in inside:
            ends = self._until.get((chore.name, other.owner))
            if not other.life.crashed and (ends is None or ends > now):
                self.wrong.append(f"two at once: {me.life.name} does {chore.name} beside {other.life.name}")
        inside.append(me)
        try:
            yield
        finally:
            inside.remove(me)


@dataclass(slots=True)
class Rota:
    """Does the chores of one instance, each when it is due by the instance's clock."""

    do_chore: DoChore
    chores: Sequence[Chore]
    clock: Clock
    _due: dict[str, datetime] = field(default_factory=dict)

    def round(self) -> bool:
        """Do what is due; whether anything came of it."""
        worked = False
        for chore in self.chores:
            now = self.clock.now()
            if now < self._due.get(chore.name, now):
                continue
            self._due[chore.name] = now + chore.every
            worked = self.do_chore.do(chore).count > 0 or worked
        return worked
