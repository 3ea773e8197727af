"""What every `Journal` does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, FUNCTION, OTHER_TENANT, TENANT, at, entry
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.journal_claims import JournalClaimsSuite
from api_exchange_testing.conformance.storage import Storage

_COMPLETED, _RETRYING, _DEAD = ProcessingState.COMPLETED, ProcessingState.RETRYING, ProcessingState.DEAD
_OTHER_FUNCTION = FunctionName("route-orders")


class JournalSuite(JournalClaimsSuite):
    """Needs a fixture `storage` that returns a `Storage`."""

    def test_a_message_that_nobody_has_heard_of_is_not_completed(self, units: UnitOfWorkFactory) -> None:
        assert _completed(units, "message-1") == set()
        assert _completed(units) == set()

    def test_the_first_completion_is_accepted_and_known_afterwards(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        assert _complete(units, entry("message-1"), entry("message-2")) == {"message-1", "message-2"}
        assert _completed(elsewhere, "message-1", "message-2", "message-3") == {"message-1", "message-2"}

    def test_a_message_that_was_completed_before_is_a_duplicate(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _complete(units, entry("message-1"))
        assert _complete(elsewhere, entry("message-1"), entry("message-2")) == {"message-2"}
        assert _complete(units, entry("message-1"), entry("message-2")) == set()

    def test_completing_a_duplicate_has_no_effect(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        first = entry(attempts=1)
        _complete(units, first)
        _complete(units, entry(attempts=7, started_at=at(60)))
        assert _trace(elsewhere) == [first]

    def test_what_one_function_has_completed_another_has_not(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _complete(units, entry("message-1"))
        assert _completed(elsewhere, "message-1", function=_OTHER_FUNCTION) == set()
        assert _complete(units, entry("message-1", function=_OTHER_FUNCTION)) == {"message-1"}

    @pytest.mark.parametrize("state", [_RETRYING, _DEAD])
    def test_a_message_that_failed_is_not_completed_and_can_be(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, state: ProcessingState
    ) -> None:
        _fail(units, entry(state=state, fingerprint="0123456789abcdef"))
        assert _completed(elsewhere, "message-1") == set()
        assert _complete(units, entry(attempts=2, started_at=at(60))) == {"message-1"}
        assert _completed(elsewhere, "message-1") == {"message-1"}
        assert _states(elsewhere) == [("message-1", _COMPLETED, 2)]

    def test_the_last_failure_is_the_state_of_a_message_that_goes_on_failing(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _fail(units, entry(state=_RETRYING, attempts=1))
        _fail(units, entry(state=_RETRYING, attempts=2))
        assert _states(elsewhere) == [("message-1", _RETRYING, 2)]
        _fail(units, entry(state=_DEAD, attempts=3))
        assert _states(elsewhere) == [("message-1", _DEAD, 3)]

    def test_a_completed_message_stays_so_whatever_fails_later(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _complete(units, entry(attempts=1))
        _fail(units, entry(state=_DEAD, attempts=9), entry("message-2", _RETRYING, started_at=at(1)))
        assert _states(elsewhere) == [("message-1", _COMPLETED, 1), ("message-2", _RETRYING, 1)]

    def test_the_trace_of_a_request_tells_its_entries_oldest_first(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        third = entry("message-3", function=_OTHER_FUNCTION, started_at=at(2))
        first, second = entry("message-1", started_at=at(0)), entry("message-2", started_at=at(1))
        for one in (third, first, second, entry("message-4", correlation_id="request-2")):
            _complete(units, one)
        assert _trace(elsewhere) == [first, second, third]
        assert _trace(elsewhere, "request-3") == []

    def test_an_entry_reads_back_as_it_was_written(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        root = JournalEntry(
            function=FUNCTION,
            message_id=MessageId(EVERY_SCRIPT),
            state=_COMPLETED,
            attempts=1,
            correlation_id=EVERY_SCRIPT,
            causation_id=None,
            entity_id=None,
            started_at=at(0),
            finished_at=at(1),
        )
        child = entry(
            "child", _RETRYING, correlation_id=EVERY_SCRIPT, started_at=at(2), fingerprint="0123456789abcdef"
        )
        _complete(units, root)
        _fail(units, child)
        assert _trace(elsewhere, EVERY_SCRIPT) == [root, child]

    def test_many_messages_are_completed_in_one_go(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        ids = {f"message-{number}" for number in range(1_200)}
        assert _complete(units, *map(entry, ids)) == ids
        assert _completed(elsewhere, *ids, "another") == ids

    def test_journals_of_two_tenants_are_kept_apart(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _complete(units, entry("message-1"))
        assert _completed(elsewhere, "message-1", tenant=OTHER_TENANT) == set()
        assert _trace(elsewhere, tenant=OTHER_TENANT) == []
        assert _complete(units, entry("message-1"), tenant=OTHER_TENANT) == {"message-1"}

    def test_what_is_rolled_back_was_never_completed(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.journal.complete([entry("message-1")])
            unit.journal.fail([entry("message-2", _RETRYING)])
        assert _trace(elsewhere) == []
        assert _complete(elsewhere, entry("message-1")) == {"message-1"}

    def test_of_many_that_complete_a_message_at_once_one_is_accepted(self, storage: Storage) -> None:
        ids = [f"message-{number}" for number in range(5)]

        def complete(_: int) -> frozenset[MessageId]:
            units = storage.connect()
            return persistently(lambda: _complete(units, *map(entry, ids)))

        accepted = [id_ for winner in all_at_once(complete) for id_ in winner]
        assert sorted(accepted) == ids


def _complete(
    units: UnitOfWorkFactory, *entries: JournalEntry, tenant: TenantId = TENANT
) -> frozenset[MessageId]:
    with units.begin(tenant) as unit:
        accepted = unit.journal.complete(entries)
        unit.commit()
    return accepted


def _fail(units: UnitOfWorkFactory, *entries: JournalEntry) -> None:
    with units.begin(TENANT) as unit:
        unit.journal.fail(entries)
        unit.commit()


def _completed(
    units: UnitOfWorkFactory, *ids: str, function: FunctionName = FUNCTION, tenant: TenantId = TENANT
) -> frozenset[MessageId]:
    with units.begin(tenant) as unit:
        return unit.journal.completed(function, [MessageId(id_) for id_ in ids])


def _trace(
    units: UnitOfWorkFactory, correlation_id: str = "request-1", *, tenant: TenantId = TENANT
) -> Sequence[JournalEntry]:
    with units.begin(tenant) as unit:
        return list(unit.journal.trace(correlation_id))


def _states(units: UnitOfWorkFactory) -> list[tuple[str, ProcessingState, int]]:
    return [(one.message_id, one.state, one.attempts) for one in _trace(units)]
