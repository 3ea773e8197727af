"""What every `ErrorGroups` does, with the `ErrorLog` that counts for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.error_groups import ErrorGroups, GroupState
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    EVERY_SCRIPT,
    FUNCTION,
    OTHER_TENANT,
    TENANT,
    at,
    error,
)
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.reports import Reports, ReportsSuite
from api_exchange_testing.conformance.storage import Storage

_ONE, _TWO = "aaaa000000000001", "bbbb000000000002"


class ErrorGroupsSuite(ReportsSuite):
    """Needs a fixture `reports` that returns `Reports`."""

    @pytest.fixture
    def groups(self, reports: Reports) -> ErrorGroups:
        """The port under test."""
        return reports.errors

    def test_where_nothing_failed_there_are_no_groups(self, groups: ErrorGroups) -> None:
        assert list(groups.newest(limit=10)) == []
        assert list(groups.named(_ONE)) == []
        assert groups.resolve(_ONE, by="ops", now=at(0)) == 0

    def test_attempts_of_one_fingerprint_are_one_group_with_the_newest_as_its_sample(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        newest = replace(
            _failed(_ONE, 50, "message-3", reason=EVERY_SCRIPT),
            stack=EVERY_SCRIPT,
            operation="orders.fetch",
            queue=QueueName("orders-in"),
        )
        _add(units, _failed(_ONE, 20, "message-1"), newest)
        _add(units, _failed(_ONE, 10, "message-2"))
        (group,) = groups.newest(limit=10)
        assert (group.fingerprint, group.count, group.state) == (_ONE, 3, GroupState.OPEN)
        assert (group.first_seen, group.last_seen) == (at(10), at(50))
        assert (group.message_id, group.reason, group.stack) == ("message-3", EVERY_SCRIPT, EVERY_SCRIPT)
        assert (group.function, group.operation, group.code) == (FUNCTION, "orders.fetch", "RetryableError")
        assert (group.resolved_at, group.resolved_by) == (None, None)

    def test_groups_come_newest_first_and_no_more_than_asked_for(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        _add(units, _failed(_ONE, 10), _failed(_TWO, 20))
        assert [group.fingerprint for group in groups.newest(limit=10)] == [_TWO, _ONE]
        _add(units, _failed(_ONE, 30))
        assert [group.fingerprint for group in groups.newest(limit=1)] == [_ONE]

    def test_a_failure_of_several_tenants_is_one_group_and_each_tenants_part_can_be_told(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        _add(units, _failed(_ONE, 10), _failed(_ONE, 20))
        _add(units, _failed(_ONE, 30, "theirs"), tenant=OTHER_TENANT)
        (group,) = groups.newest(limit=10)
        assert (group.count, list(group.tenants)) == (3, [TENANT, OTHER_TENANT])
        assert (group.first_seen, group.last_seen, group.message_id) == (at(10), at(30), "theirs")
        (mine,) = groups.newest(tenant_id=TENANT, limit=10)
        assert (mine.count, list(mine.tenants), mine.last_seen) == (2, [TENANT], at(20))
        assert list(groups.named(_ONE, tenant_id=TENANT)) == [mine]

    def test_a_group_is_found_by_the_beginning_of_its_fingerprint(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        _add(units, _failed(_ONE, 10), _failed(_TWO, 20))
        assert [group.fingerprint for group in groups.named("aaaa")] == [_ONE]
        assert [group.fingerprint for group in groups.named("")] == [_ONE, _TWO]
        assert [group.fingerprint for group in groups.named("", limit=1)] == [_ONE]
        assert list(groups.named("aaab")) == []

    def test_a_resolved_group_is_out_of_the_list_and_not_forgotten(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        _add(units, _failed(_ONE, 10))
        assert groups.resolve(_ONE, by="ops", now=at(20)) == 1
        assert groups.resolve(_ONE, by="later", now=at(25)) == 0
        assert list(groups.newest(limit=10)) == []
        (group,) = groups.newest(resolved=True, limit=10)
        assert (group.state, group.resolved_at, group.resolved_by) == (GroupState.RESOLVED, at(20), "ops")

    def test_what_happens_again_after_it_was_resolved_is_regressed_until_it_is_resolved_again(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        _add(units, _failed(_ONE, 10))
        groups.resolve(_ONE, by="ops", now=at(20))
        _add(units, _failed(_ONE, 30))
        _add(units, _failed(_ONE, 40))
        (group,) = groups.newest(limit=10)
        assert (group.state, group.count, group.resolved_by) == (GroupState.REGRESSED, 3, "ops")
        assert groups.resolve(_ONE, by="ops", now=at(50)) == 1
        assert list(groups.newest(limit=10)) == []

    def test_an_attempt_from_before_the_resolution_that_is_recorded_late_is_no_regression(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        _add(units, _failed(_ONE, 10))
        groups.resolve(_ONE, by="ops", now=at(20))
        _add(units, _failed(_ONE, 15))
        (group,) = groups.newest(resolved=True, limit=10)
        assert (group.state, group.count) == (GroupState.RESOLVED, 2)

    def test_it_can_be_resolved_for_one_tenant_and_is_open_for_all_as_long_as_for_one(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        for tenant in (TENANT, OTHER_TENANT):
            _add(units, _failed(_ONE, 10), tenant=tenant)
        assert groups.resolve(_ONE, by="ops", now=at(20), tenant_id=TENANT) == 1
        assert list(groups.newest(tenant_id=TENANT, limit=10)) == []
        assert [group.state for group in groups.newest(limit=10)] == [GroupState.OPEN]
        assert groups.resolve(_ONE, by="ops", now=at(30)) == 1
        assert list(groups.newest(limit=10)) == []

    def test_deferrals_are_recorded_and_not_counted(
        self, units: UnitOfWorkFactory, groups: ErrorGroups
    ) -> None:
        one = _failed(_ONE, 10)
        deferred = replace(one, problem=replace(one.problem, defer=timedelta(minutes=1)))
        _add(units, deferred)
        assert list(groups.newest(limit=10)) == []
        with units.begin(TENANT) as unit:
            assert list(unit.errors.of_message(one.message_id)) == [deferred]

    def test_what_is_rolled_back_is_not_counted(self, units: UnitOfWorkFactory, groups: ErrorGroups) -> None:
        with units.begin(TENANT) as unit:
            unit.errors.add([_failed(_ONE, 10)])
        assert list(groups.newest(limit=10)) == []

    def test_of_many_workers_that_fail_alike_at_once_every_attempt_is_counted(
        self, storage: Storage, groups: ErrorGroups
    ) -> None:
        rounds = 5

        def fail(thread: int) -> int:
            units = storage.connect()
            order = (_ONE, _TWO) if thread % 2 else (_TWO, _ONE)
            for number in range(rounds):
                entries = [_failed(name, number, f"{thread}-{number}") for name in order]
                persistently(partial(_add, units, *entries))
            return rounds

        expected = sum(all_at_once(fail))
        assert {group.fingerprint: group.count for group in groups.newest(limit=10)} == {
            _ONE: expected,
            _TWO: expected,
        }


def _failed(
    fingerprint: str, seconds: int, message_id: str = "message-1", *, reason: str = "no answer"
) -> ErrorEntry:
    one = error(message_id, reason=reason)
    return replace(
        one,
        message_id=MessageId(message_id),
        problem=replace(one.problem, fingerprint=fingerprint),
        occurred_at=at(seconds),
    )


def _add(units: UnitOfWorkFactory, *entries: ErrorEntry, tenant: TenantId = TENANT) -> None:
    with units.begin(tenant) as unit:
        unit.errors.add(entries)
        unit.commit()
