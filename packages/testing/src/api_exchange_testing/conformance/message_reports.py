"""What every `MessageReports` does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.message_reports import (
    HandledMessage,
    MessageFilter,
    MessageReports,
    PlaceInList,
    Request,
)
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    EVERY_SCRIPT,
    FUNCTION,
    OTHER_TENANT,
    TENANT,
    at,
    entry,
    error,
    head,
    key,
    on_top,
    version_of,
)
from api_exchange_testing.conformance.reports import Reports, ReportsSuite

_COMPLETED, _RETRYING, _DEAD = ProcessingState.COMPLETED, ProcessingState.RETRYING, ProcessingState.DEAD
_OTHER_FUNCTION = FunctionName("route-orders")
_MINE, _THEIRS = Request(TENANT, "request-1"), Request(OTHER_TENANT, "request-1")


class MessageReportsSuite(ReportsSuite):
    """Needs a fixture `reports` that returns `Reports`."""

    @pytest.fixture
    def messages(self, reports: Reports) -> MessageReports:
        """The port under test."""
        return reports.messages

    def test_where_nothing_was_handled_nothing_is_found(self, messages: MessageReports) -> None:
        assert list(messages.requests_named("request-1")) == []
        assert list(messages.requests_about(key().id)) == []
        assert list(messages.of_request(_MINE, limit=10)) == []
        assert list(messages.newest(MessageFilter(), limit=10)) == []
        assert list(messages.failed_attempts([MessageId("m")], tenant_id=TENANT, limit=10)) == []

    def test_a_request_is_found_by_its_correlation_id_in_every_tenant_that_has_it(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        _record(units, entry())
        _record(units, entry(), tenant=OTHER_TENANT)
        assert list(messages.requests_named("request-1")) == [_MINE, _THEIRS]
        assert list(messages.requests_named("request-1", tenant_id=OTHER_TENANT)) == [_THEIRS]
        assert list(messages.requests_named("request-1", limit=1)) == [_MINE]

    def test_a_request_is_found_by_the_id_of_a_message_of_any_function(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        _record(units, entry("first"), entry("second", function=_OTHER_FUNCTION), entry(EVERY_SCRIPT, _DEAD))
        for id_ in ("first", "second", EVERY_SCRIPT):
            assert list(messages.requests_named(id_)) == [_MINE]
            assert list(messages.requests_named(id_, tenant_id=OTHER_TENANT)) == []

    def test_what_is_a_correlation_id_is_not_taken_for_the_id_of_a_message_elsewhere(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        _record(units, entry("request-1", correlation_id="request-2"), entry("message-1"))
        assert list(messages.requests_named("request-1")) == [_MINE]

    def test_requests_about_an_entity_are_those_that_changed_it_or_failed_on_it_newest_first(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        created = head(key(), updated_at=at(60))
        with units.begin(TENANT) as unit:
            unit.entities.write([on_top(created)], [replace(version_of(created), correlation_id="fetched")])
            unit.commit()
        _record(units, entry(state=_DEAD, correlation_id="old", started_at=at(0)))
        _record(units, entry("message-2", _RETRYING, correlation_id="new", started_at=at(90)))
        _record(units, entry("message-3", correlation_id="changed nothing", started_at=at(95)))
        _record(units, replace(entry("message-4", _DEAD, correlation_id="other"), entity_id=None))
        wanted = [Request(TENANT, name) for name in ("new", "fetched", "old")]
        assert list(messages.requests_about(key().id)) == wanted
        assert list(messages.requests_about(key().id, tenant_id=TENANT, limit=2)) == wanted[:2]
        assert list(messages.requests_about(key().id, tenant_id=OTHER_TENANT)) == []

    def test_the_messages_of_a_request_read_back_with_their_tenant_those_that_began_first_first(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        first = replace(
            entry("message-1"), operation=EVERY_SCRIPT, waited=timedelta(0), took=timedelta(microseconds=1)
        )
        second = entry("message-2", _DEAD, started_at=at(1), fingerprint="0123456789abcdef")
        third = entry("message-0", function=_OTHER_FUNCTION, started_at=at(2))
        _record(units, third, second, first, entry("message-9", correlation_id="request-2"))
        _record(units, entry("theirs"), tenant=OTHER_TENANT)
        expected = [_handled(one) for one in (first, second, third)]
        assert list(messages.of_request(_MINE, limit=10)) == expected
        assert list(messages.of_request(_MINE, limit=2)) == expected[:2]

    def test_failed_attempts_of_some_messages_read_back_oldest_first(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        first, second = error("message-1", attempt=1), error("message-2", attempt=2)
        with units.begin(TENANT) as unit:
            unit.errors.add([second, first, error("message-3")])
            unit.commit()
        ids = [MessageId("message-1"), MessageId("message-2")]
        found = messages.failed_attempts(ids, tenant_id=TENANT, limit=10)
        assert [(one.tenant_id, one.message_id, one.problem) for one in found] == [
            (TENANT, one.message_id, one.problem) for one in (first, second)
        ]
        assert len(messages.failed_attempts(ids, tenant_id=TENANT, limit=1)) == 1
        assert list(messages.failed_attempts(ids, tenant_id=OTHER_TENANT, limit=10)) == []

    def test_messages_are_listed_newest_first_and_filtered(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        _record(units, entry("old", started_at=at(0)), entry("dead", _DEAD, started_at=at(10)))
        _record(units, entry("routed", function=_OTHER_FUNCTION, started_at=at(20)))
        _record(units, entry("theirs", _RETRYING, started_at=at(30)), tenant=OTHER_TENANT)
        filters = {
            MessageFilter(): ["theirs", "routed", "dead", "old"],
            MessageFilter(tenant_id=TENANT): ["routed", "dead", "old"],
            MessageFilter(function=FUNCTION): ["theirs", "dead", "old"],
            MessageFilter(state=_COMPLETED): ["routed", "old"],
            MessageFilter(state=_DEAD): ["dead"],
            MessageFilter(state=_RETRYING, tenant_id=TENANT): [],
            MessageFilter(since=at(10)): ["theirs", "routed", "dead"],
            MessageFilter(since=at(10), function=FUNCTION, state=_DEAD, tenant_id=TENANT): ["dead"],
        }
        found = {wanted: [one.message_id for one in messages.newest(wanted, limit=10)] for wanted in filters}
        assert found == filters
        assert [one.message_id for one in messages.newest(MessageFilter(), limit=1)] == ["theirs"]

    def test_pages_of_messages_miss_none_and_repeat_none_even_of_one_moment(
        self, units: UnitOfWorkFactory, messages: MessageReports
    ) -> None:
        for tenant in (TENANT, OTHER_TENANT):
            _record(units, *(entry(f"message-{number}") for number in range(4)), tenant=tenant)
            _record(units, entry("message-0", function=_OTHER_FUNCTION), tenant=tenant)
        pages, after = [], None
        while page := list(messages.newest(MessageFilter(), limit=3, after=after)):
            pages += page
            after = PlaceInList.of(page[-1])
        assert len(pages) == len(set(pages)) == 10
        assert pages == list(messages.newest(MessageFilter(), limit=100))


def _record(units: UnitOfWorkFactory, *entries: JournalEntry, tenant: TenantId = TENANT) -> None:
    with units.begin(tenant) as unit:
        unit.journal.complete([one for one in entries if one.state is _COMPLETED])
        unit.journal.fail([one for one in entries if one.state is not _COMPLETED])
        unit.commit()


def _handled(one: JournalEntry) -> HandledMessage:
    names = JournalEntry.__dataclass_fields__
    return HandledMessage(tenant_id=TENANT, **{name: getattr(one, name) for name in names})
