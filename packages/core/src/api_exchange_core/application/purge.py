"""Removing what has been kept long enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.domain.retention import Expiry, Kept, Retention
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.retention import Place, RetentionStore
from api_exchange_core.ports.sleeper import Sleeper

LOOKED_AT_ONCE: Final = 1_000
"""Rows that one statement looks at, and so removes at most."""

_BREATH: Final = timedelta(milliseconds=20)
"""Shortest pause after a step that removed something. A step that took longer is followed by a pause as long as itself,
so that a purge never takes more than half of a database: others write, disks sync, replicas follow."""

_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Purged:
    """What a run came to.

    Args:
        removed: rows of each kind; in a dry run, rows that would be removed.
        more: the run ended at its limit, and more may have expired.
    """

    removed: Mapping[Kept, int]
    more: bool


@dataclass(slots=True)
class PurgeExpired:
    """Purges the journal, errors and versions in steps that are over in a moment.

    A run ends at its limits, and the next one goes on where it ended, until all kinds have been walked through once.

    Args:
        store: what is purged.
        retention: how long what is kept.
        clock: tells the time.
        sleeper: lets time pass between steps.
    """

    store: RetentionStore
    retention: Retention
    clock: Clock
    sleeper: Sleeper
    _places: dict[Kept, Place] = field(default_factory=dict)
    _walked: set[Kept] = field(default_factory=set)

    def run(
        self,
        *,
        most: int = _MOST,
        within: timedelta | None = None,
        dry_run: bool = False,
        removed: Callable[[int], None] | None = None,
    ) -> Purged:
        """Remove what has expired by now.

        Args:
            most: end after so many rows; the step that reaches it is finished.
            within: end after so long; the step under way is finished. None sets no limit.
            dry_run: count them only, all of them.
            removed: is told of each step how many rows it removed.

        Raises:
            TransientError: the store is out of reach; what was removed stays removed, and the next run goes on.
        """
        began = self.clock.now()
        until = None if within is None else began + within
        counts: dict[Kept, int] = {}
        more = False
        for expiry in self.retention.expiries(began):
            if dry_run:
                counts[expiry.kept], _ = self._walk(expiry, None, None, removed)
            elif expiry.kept not in self._walked:
                left = most - sum(counts.values())
                counts[expiry.kept], ended = self._walk(expiry, left, until, removed)
                self._walked |= {expiry.kept} if ended else set()
                more = more or not ended
        if not (more or dry_run):
            self._walked.clear()
        return Purged({kept: number for kept, number in counts.items() if number}, more)

    def _walk(
        self,
        expiry: Expiry,
        most: int | None,
        until: datetime | None,
        removed: Callable[[int], None] | None,
    ) -> tuple[int, bool]:
        """How many rows had expired, and whether the walk came to its end. Counts only, if *most* is None."""
        dry_run = most is None
        place = None if dry_run else self._places.pop(expiry.kept, None)
        total = 0
        while (most is None or total < most) and (until is None or self.clock.now() < until):
            began = self.clock.now()
            step = self.store.purge(expiry, after=place, limit=LOOKED_AT_ONCE, dry_run=dry_run)
            total += step.expired
            if removed is not None:
                removed(step.expired)
            if step.next is None:
                return total, True
            place = step.next
            if step.expired and not dry_run:
                self.sleeper.sleep(max(_BREATH, self.clock.now() - began))
        if place is not None:
            self._places[expiry.kept] = place
        return total, False
