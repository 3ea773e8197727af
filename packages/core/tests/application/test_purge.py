from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core import Retention
from api_exchange_core.application.purge import LOOKED_AT_ONCE, PurgeExpired
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.domain.retention import Expiry, Kept
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.retention import Place, Step
from api_exchange_testing import (
    InMemoryRetentionStore,
    InMemoryStore,
    InMemoryUnitOfWorkFactory,
    VirtualClock,
)
from api_exchange_testing.memory.sleeper import VirtualSleeper

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ACME = TenantId("acme")


class Watched(InMemoryRetentionStore):
    """Notes how much each step was asked to look at and what it removed; may fail once."""

    def __init__(self, store: InMemoryStore) -> None:
        super().__init__(store)
        self.steps: list[tuple[Kept, int]] = []
        self.asked: list[int] = []
        self.fails = False

    @override
    def purge(self, expiry: Expiry, *, after: Place | None, limit: int, dry_run: bool = False) -> Step:
        if self.fails and self.steps:
            self.fails = False
            raise TransientError("the store is gone")
        step = super().purge(expiry, after=after, limit=limit, dry_run=dry_run)
        self.asked.append(limit)
        if step.expired:
            self.steps.append((expiry.kept, step.expired))
        return step


@pytest.fixture
def store() -> InMemoryStore:
    """2,500 journal entries that have expired, and 100 that have not."""
    store = InMemoryStore()
    with InMemoryUnitOfWorkFactory(store).begin(ACME) as unit:
        unit.journal.complete([entry(number, NOW - 100 * DAY) for number in range(2_500)])
        unit.journal.complete([entry(number, NOW - DAY) for number in range(2_500, 2_600)])
        unit.commit()
    return store


def entry(number: int, at: datetime) -> JournalEntry:
    return JournalEntry(
        function=FunctionName("to-canonical"),
        message_id=MessageId(f"message-{number}"),
        state=ProcessingState.COMPLETED,
        attempts=1,
        correlation_id="request-1",
        causation_id=None,
        entity_id=None,
        started_at=at,
        finished_at=at,
    )


def purge_of(watched: Watched, clock: VirtualClock) -> PurgeExpired:
    return PurgeExpired(watched, Retention(), clock, VirtualSleeper(clock))


def left(store: InMemoryStore) -> int:
    return len(store.of(ACME).journal)


def test_what_has_expired_goes_in_bounded_steps_with_a_pause_after_each(store: InMemoryStore) -> None:
    watched, clock = Watched(store), VirtualClock(NOW)
    purged = purge_of(watched, clock).run()
    assert (dict(purged.removed), purged.more) == ({Kept.JOURNAL: 2_500}, False)
    assert left(store) == 100
    assert max(number for _, number in watched.steps) <= LOOKED_AT_ONCE
    assert set(watched.asked) == {LOOKED_AT_ONCE}
    assert clock.now() > NOW


def test_a_run_ends_at_its_limit_and_the_next_goes_on(store: InMemoryStore) -> None:
    purge = purge_of(Watched(store), VirtualClock(NOW))
    first = purge.run(most=1_500)
    assert (dict(first.removed), first.more) == ({Kept.JOURNAL: 2_000}, True)
    second = purge.run(most=1_500)
    assert (dict(second.removed), second.more) == ({Kept.JOURNAL: 500}, False)
    assert purge.run().removed == {}


def test_a_dry_run_counts_all_of_it_and_neither_removes_nor_pauses(store: InMemoryStore) -> None:
    clock = VirtualClock(NOW)
    purged = purge_of(Watched(store), clock).run(dry_run=True, most=10)
    assert (dict(purged.removed), purged.more) == ({Kept.JOURNAL: 2_500}, False)
    assert left(store) == 2_600
    assert clock.now() == NOW


def test_a_run_that_broke_off_is_made_good_by_the_next(store: InMemoryStore) -> None:
    watched = Watched(store)
    purge = purge_of(watched, VirtualClock(NOW))
    watched.fails = True
    with pytest.raises(TransientError):
        purge.run()
    assert left(store) == 1_600
    assert dict(purge.run().removed) == {Kept.JOURNAL: 1_500}
    assert left(store) == 100


def test_what_was_removed_is_told_step_by_step(store: InMemoryStore) -> None:
    told: list[int] = []
    purge_of(Watched(store), VirtualClock(NOW)).run(removed=told.append)
    assert sum(told) == 2_500
    assert len(told) > 2


def test_a_pause_is_as_long_as_the_step_that_it_follows(store: InMemoryStore) -> None:
    class Slow(InMemoryRetentionStore):
        @override
        def purge(self, expiry: Expiry, *, after: Place | None, limit: int, dry_run: bool = False) -> Step:
            clock.advance(timedelta(seconds=3))
            return super().purge(expiry, after=after, limit=limit, dry_run=dry_run)

    class Counting(VirtualSleeper):
        @override
        def sleep(self, time: timedelta) -> None:
            pauses.append(time)

    clock, pauses = VirtualClock(NOW), list[timedelta]()
    PurgeExpired(Slow(store), Retention(), clock, Counting(clock)).run()
    assert pauses == [timedelta(seconds=3)] * 2


def test_runs_that_are_cut_short_walk_through_all_kinds_once_and_then_say_that_nothing_is_left(
    store: InMemoryStore,
) -> None:
    class Slow(InMemoryRetentionStore):
        """Takes a second for each step, and notes of what it was."""

        @override
        def purge(self, expiry: Expiry, *, after: Place | None, limit: int, dry_run: bool = False) -> Step:
            clock.advance(timedelta(seconds=1))
            steps.append(expiry.kept)
            return super().purge(expiry, after=after, limit=limit, dry_run=dry_run)

    clock, steps = VirtualClock(NOW), list[Kept]()
    purge = PurgeExpired(Slow(store), Retention(versions=DAY, last_versions=1), clock, VirtualSleeper(clock))
    for _ in range(2):
        runs = 1
        while purge.run(within=timedelta(seconds=1)).more:
            runs += 1
        assert runs == len(steps)
        assert sorted(set(steps), key=steps.index) == [
            Kept.ERRORS,
            Kept.JOURNAL,
            Kept.VERSIONS,
            Kept.REQUESTS,
        ]
        assert (steps.count(Kept.ERRORS), steps.count(Kept.VERSIONS)) == (1, 1)
        steps.clear()
    assert left(store) == 100
