"""What every `StatisticsSource` does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.names import FunctionName, TenantId
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.statistics import (
    FailureCount,
    FunctionStatistics,
    Percentiles,
    Statistics,
    StatisticsSource,
)
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import FUNCTION, OTHER_TENANT, TENANT, at, entry, error
from api_exchange_testing.conformance.reports import Reports, ReportsSuite

_COMPLETED, _RETRYING, _DEAD = ProcessingState.COMPLETED, ProcessingState.RETRYING, ProcessingState.DEAD
_OTHER_FUNCTION = FunctionName("route-orders")
_MANY = 1_000


class StatisticsSourceSuite(ReportsSuite):
    """Needs a fixture `reports` that returns `Reports`."""

    @pytest.fixture
    def statistics(self, reports: Reports) -> StatisticsSource:
        """The port under test."""
        return reports.statistics

    def test_where_nothing_was_done_no_function_is_named(self, statistics: StatisticsSource) -> None:
        found = _window(statistics)
        assert (found.since, found.until, list(found.functions)) == (at(0), at(100), [])

    def test_messages_are_counted_by_the_state_that_they_are_in(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        _record(
            units, *(entry(f"completed-{number}") for number in range(3)), entry("dead", _DEAD, attempts=5)
        )
        _record(units, entry("retrying", _RETRYING), entry("routed", function=_OTHER_FUNCTION))
        found = {one.function: one for one in _window(statistics).functions}
        assert list(found) == [_OTHER_FUNCTION, FUNCTION]
        counts = {name: (one.completed, one.dead, one.retrying) for name, one in found.items()}
        assert counts == {FUNCTION: (3, 1, 1), _OTHER_FUNCTION: (1, 0, 0)}
        assert found[FUNCTION].success_rate == 3 / 4

    def test_a_message_that_failed_and_was_completed_later_is_one_completed_message(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        _record(units, entry(state=_RETRYING))
        _fail(units, error())
        _record(units, entry(attempts=2, started_at=at(10)))
        (found,) = _window(statistics).functions
        assert (found.completed, found.retrying, found.failed_attempts) == (1, 0, 1)

    def test_failed_attempts_are_counted_each_by_fingerprint_and_deferrals_apart(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        rare, frequent, late = (_failed(name) for name in ("aaaa", "bbbb", "cccc"))
        deferred = replace(late, problem=replace(late.problem, defer=timedelta(minutes=1)))
        _fail(units, rare, frequent, frequent, deferred)
        (found,) = _window(statistics).functions
        assert (found.failed_attempts, found.deferred, found.success_rate) == (3, 1, None)
        assert list(found.failures) == [
            FailureCount(fingerprint="bbbb", code="RetryableError", count=2),
            FailureCount(fingerprint="aaaa", code="RetryableError", count=1),
        ]

    def test_what_was_recorded_before_the_window_is_not_in_it(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        _record(units, replace(entry("before"), finished_at=at(-1)), replace(entry("on"), finished_at=at(0)))
        _fail(units, replace(error(), occurred_at=at(-1)))
        (found,) = _window(statistics).functions
        assert (found.completed, found.failed_attempts) == (1, 0)

    def test_one_tenant_can_be_told_apart_from_all(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        _record(units, entry(), tenant=OTHER_TENANT)
        _record(units, entry("message-1"), entry("message-2"))
        _fail(units, _failed("aaaa"), tenant=OTHER_TENANT)
        counts = {
            tenant: [(one.completed, one.failed_attempts) for one in _window(statistics, tenant).functions]
            for tenant in (None, TENANT, OTHER_TENANT)
        }
        assert counts == {None: [(3, 1)], TENANT: [(2, 0)], OTHER_TENANT: [(1, 1)]}

    def test_percentiles_are_lengths_that_were_measured(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        lengths = [timedelta(milliseconds=number) for number in range(1, 201)]
        _record(
            units,
            *(
                replace(entry(f"message-{number}"), took=length, waited=2 * length)
                for number, length in enumerate(lengths)
            ),
        )
        (found,) = _window(statistics).functions
        assert found.took == Percentiles(p50=lengths[99], p95=lengths[189], p99=lengths[197])
        assert found.waited == Percentiles(p50=2 * lengths[99], p95=2 * lengths[189], p99=2 * lengths[197])

    def test_of_a_single_message_every_percentile_is_its_own(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        second = timedelta(seconds=1)
        _record(units, replace(entry(), took=second))
        (found,) = _window(statistics).functions
        assert (found.took, found.waited) == (Percentiles(p50=second, p95=second, p99=second), None)

    def test_only_completed_messages_tell_how_long_it_takes_and_first_attempts_how_long_they_waited(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        one, two = timedelta(seconds=1), timedelta(seconds=2)
        _record(units, replace(entry("dead", _DEAD), took=two, waited=one))
        _record(units, replace(entry("late", attempts=2), took=one, waited=two))
        (found,) = _window(statistics).functions
        assert found.took == Percentiles(p50=one, p95=one, p99=one)
        assert found.waited == Percentiles(p50=one, p95=one, p99=one)

    def test_of_more_rows_than_are_read_the_window_is_cut_to_the_newest_and_says_so(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        _record(units, *(replace(entry(f"message-{number}"), finished_at=at(number)) for number in range(10)))
        found = _window(statistics, most=4)
        assert at(5) < found.since <= at(6)
        assert [one.completed for one in found.functions] == [4]
        assert _window(statistics, most=10).since == at(0)

    def test_a_function_whose_messages_all_failed_has_no_share_of_success(
        self, units: UnitOfWorkFactory, statistics: StatisticsSource
    ) -> None:
        _record(units, *(entry(f"message-{number}", _DEAD) for number in range(40)))
        (found,) = _window(statistics).functions
        assert found == FunctionStatistics(function=FUNCTION, dead=40)
        assert found.success_rate == 0


def _window(statistics: StatisticsSource, tenant: TenantId | None = None, *, most: int = _MANY) -> Statistics:
    return statistics.of_window(since=at(0), until=at(100), tenant_id=tenant, most=most)


def _record(units: UnitOfWorkFactory, *entries: JournalEntry, tenant: TenantId = TENANT) -> None:
    with units.begin(tenant) as unit:
        unit.journal.complete([one for one in entries if one.state is _COMPLETED])
        unit.journal.fail([one for one in entries if one.state is not _COMPLETED])
        unit.commit()


def _failed(fingerprint: str) -> ErrorEntry:
    one = error()
    return replace(one, problem=replace(one.problem, fingerprint=fingerprint))


def _fail(units: UnitOfWorkFactory, *entries: ErrorEntry, tenant: TenantId = TENANT) -> None:
    with units.begin(tenant) as unit:
        unit.errors.add(entries)
        unit.commit()
