"""What every `Leases` does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from api_exchange_core.ports.leases import Leases
from api_exchange_testing.conformance._samples import EVERY_SCRIPT
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.suite import PassingTime, Suite

ConnectLeases = Callable[[], Leases]
"""Gives another client of the same store, as another process would have it."""

_NAME = "clean-up"
_LEASE = timedelta(minutes=5)
_EVERY = timedelta(hours=1)


class LeasesSuite(Suite):
    """Needs a fixture `connect_leases` that returns a `ConnectLeases` on an empty store."""

    @pytest.fixture
    def instances(self, connect_leases: ConnectLeases, clock: PassingTime) -> list[Instance]:
        """Three that want to do the same chore."""
        return [Instance(connect_leases(), f"instance-{number}", clock) for number in range(3)]

    def test_what_nobody_holds_is_had_for_the_asking(self, instances: list[Instance]) -> None:
        assert instances[0].takes()

    def test_while_one_holds_it_no_other_gets_it(self, instances: list[Instance], clock: PassingTime) -> None:
        first, second, _ = instances
        assert first.takes()
        clock.advance(_LEASE - timedelta(seconds=1))
        assert not second.takes()

    def test_the_holder_may_ask_for_more_time(self, instances: list[Instance], clock: PassingTime) -> None:
        first, second, _ = instances
        assert first.takes()
        clock.advance(_LEASE / 2)
        assert first.takes()
        clock.advance(_LEASE / 2)
        assert not second.takes()

    def test_one_that_died_loses_it_when_its_time_is_up(
        self, instances: list[Instance], clock: PassingTime
    ) -> None:
        first, second, _ = instances
        assert first.takes()
        clock.advance(_LEASE)
        assert second.takes()

    def test_what_is_given_back_is_had_at_once(self, instances: list[Instance]) -> None:
        first, second, _ = instances
        assert first.takes()
        first.releases()
        assert second.takes()

    def test_one_whose_time_was_up_gives_back_nothing_of_its_successor(
        self, instances: list[Instance], clock: PassingTime
    ) -> None:
        first, second, third = instances
        assert first.takes()
        clock.advance(_LEASE)
        assert second.takes()
        first.releases(done=True)
        assert not third.takes()
        second.releases()
        assert third.takes(every=_EVERY)

    def test_what_was_done_is_done_again_by_nobody_until_it_is_time(
        self, instances: list[Instance], clock: PassingTime
    ) -> None:
        first, second, _ = instances
        assert first.takes(every=_EVERY)
        first.releases(done=True)
        clock.advance(_EVERY - timedelta(seconds=1))
        assert not any(instance.takes(every=_EVERY) for instance in instances)
        clock.advance(timedelta(seconds=1))
        assert second.takes(every=_EVERY)

    def test_what_was_not_finished_keeps_the_time_of_the_run_before(
        self, instances: list[Instance], clock: PassingTime
    ) -> None:
        first, second, third = instances
        assert first.takes(every=_EVERY)
        first.releases(done=True)
        clock.advance(_EVERY)
        assert second.takes(every=_EVERY)
        second.releases()
        assert third.takes(every=_EVERY)

    def test_names_are_apart(self, instances: list[Instance]) -> None:
        first, second, _ = instances
        assert first.takes(EVERY_SCRIPT)
        assert second.takes()
        assert not second.takes(EVERY_SCRIPT)

    def test_giving_back_what_nobody_has_taken_harms_nothing(self, instances: list[Instance]) -> None:
        instances[0].releases(done=True)
        assert instances[1].takes(every=_EVERY)

    def test_of_many_that_ask_at_once_one_gets_it(
        self, connect_leases: ConnectLeases, clock: PassingTime
    ) -> None:
        def take(thread: int) -> bool:
            instance = Instance(connect_leases(), f"instance-{thread}", clock)
            return persistently(instance.takes)

        assert sum(all_at_once(take)) == 1


class Instance:
    """One of those that want a lease."""

    def __init__(self, leases: Leases, owner: str, clock: PassingTime) -> None:
        self._leases = leases
        self._owner = owner
        self._clock = clock

    def takes(self, name: str = _NAME, *, every: timedelta = timedelta(0)) -> bool:
        """Ask for it now; whether it was given."""
        now = self._clock.now()
        return self._leases.take(name, owner=self._owner, now=now, until=now + _LEASE, every=every)

    def releases(self, name: str = _NAME, *, done: bool = False) -> None:
        """Give it back, with all or part of the work done."""
        self._leases.release(name, owner=self._owner, ran_at=self._clock.now() if done else None)
