"""What every `Journal` does for functions that claim their messages; see `JournalSuite`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from api_exchange_core.domain.errors import ClaimLostError, TransientError
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import Claim, JournalEntry, ProcessingState, Standing
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import FUNCTION, OTHER_TENANT, TENANT, at, entry
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.storage import Storage, StorageSuite

_COMPLETED, _RETRYING, _DEAD = ProcessingState.COMPLETED, ProcessingState.RETRYING, ProcessingState.DEAD
_RUNNING, _HELD, _GIVEN_UP = ProcessingState.RUNNING, ProcessingState.HELD, ProcessingState.GIVEN_UP
_OTHER_FUNCTION = FunctionName("route-orders")
_ONE = MessageId("message-1")


class JournalClaimsSuite(StorageSuite):
    """Part of `JournalSuite`."""

    def test_a_message_that_nobody_has_heard_of_is_claimed(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        standing = _claim(units, _running(0, 60))[_ONE]
        assert standing == Standing(taken=True, state=_RUNNING, fence=1, leased_until=at(60))
        assert _trace(elsewhere) == [replace(_running(0, 60), fence=1)]

    def test_a_claimed_message_is_not_completed(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60))
        with elsewhere.begin(TENANT) as unit:
            assert unit.journal.completed(FUNCTION, [_ONE]) == set()

    @pytest.mark.parametrize("on_lost", OnLost)
    def test_while_a_lease_lasts_nobody_else_claims_and_each_is_told_until_when(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, on_lost: OnLost
    ) -> None:
        _claim(units, _running(0, 60))
        standing = _claim(elsewhere, _running(59, 120), on_lost=on_lost)[_ONE]
        assert standing == Standing(taken=False, state=_RUNNING, fence=1, leased_until=at(60))
        assert _trace(units) == [replace(_running(0, 60), fence=1)]

    def test_a_lease_that_ran_out_is_taken_over_with_a_higher_fence(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60))
        standing = _claim(elsewhere, _running(60, 120))[_ONE]
        assert standing == Standing(taken=True, state=_RUNNING, fence=2, leased_until=at(120))

    def test_of_many_that_claim_messages_at_once_one_has_taken_each(self, storage: Storage) -> None:
        ids = [f"message-{number}" for number in range(5)]
        for fence, begins in ((1, 0), (2, 60)):  # unheard of, and with a lease that ran out
            entries = [_running(begins, begins + 60, id_) for id_ in ids]

            def claim(_: int, entries: Sequence[JournalEntry] = entries) -> Mapping[MessageId, Standing]:
                units = storage.connect()
                return persistently(lambda: _claim(units, *entries))

            answers = all_at_once(claim)
            taken = [id_ for one in answers for id_, standing in one.items() if standing.taken]
            assert sorted(taken) == ids
            assert {standing.fence for one in answers for standing in one.values()} == {fence}

    def test_each_message_of_a_batch_is_told_of_by_itself(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _complete(units, entry("completed"))
        _fail(units, entry("retrying", _RETRYING), entry("dead", _DEAD))
        _claim(units, _running(0, 60, "running"), _running(0, 10, "ran-out"))
        names = ["completed", "retrying", "dead", "running", "ran-out", "new"]
        standings = _claim(elsewhere, *(_running(30, 90, name) for name in names))
        assert {name: (one.taken, one.state, one.fence) for name, one in standings.items()} == {
            "completed": (False, _COMPLETED, 0),
            "retrying": (True, _RUNNING, 1),
            "dead": (True, _RUNNING, 1),
            "running": (False, _RUNNING, 1),
            "ran-out": (True, _RUNNING, 2),
            "new": (True, _RUNNING, 1),
        }

    def test_many_messages_are_claimed_and_completed_in_one_go(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        ids = [MessageId(f"message-{number}") for number in range(1_200)]
        standings = _claim(units, *(_running(0, 60, id_) for id_ in ids))
        assert {one.fence for one in standings.values() if one.taken} == {1}
        assert len(standings) == len(ids)
        assert _complete(elsewhere, *(replace(entry(id_), fence=1) for id_ in ids)) == set(ids)

    def test_what_is_rolled_back_was_never_claimed(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.journal.claim([_running(0, 60)], on_lost=OnLost.RERUN)
        assert _trace(elsewhere) == []
        assert _claim(elsewhere, _running(1, 60))[_ONE].fence == 1

    def test_claims_of_two_functions_and_tenants_are_kept_apart(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60))
        assert _claim(elsewhere, replace(_running(1, 60), function=_OTHER_FUNCTION))[_ONE].taken
        assert _claim(elsewhere, _running(1, 60), tenant=OTHER_TENANT)[_ONE].taken
        with elsewhere.begin(OTHER_TENANT) as unit:
            assert unit.journal.renew([Claim(_OTHER_FUNCTION, _ONE, 1)], until=at(90)) == {_ONE}

    # Completing and failing under a claim

    def test_who_has_the_claim_completes(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60))
        assert _complete(units, replace(entry(), fence=1)) == {_ONE}
        assert _trace(elsewhere) == [replace(entry(), fence=1)]
        assert _claim(elsewhere, _running(70, 130))[_ONE].state is _COMPLETED

    def test_a_lease_that_ran_out_and_that_nobody_took_over_still_counts(
        self, units: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60))
        late = replace(entry(started_at=at(3_600)), fence=1)
        assert _complete(units, late) == {_ONE}

    def test_who_lost_the_claim_completes_nothing_of_the_unit_of_work(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60), _running(0, 600, "message-2"))
        _claim(elsewhere, _running(60, 120))
        with pytest.raises(TransientError), units.begin(TENANT) as unit:
            with pytest.raises(ClaimLostError):
                unit.journal.complete([replace(entry(id_), fence=1) for id_ in ("message-1", "message-2")])
            unit.commit()
        assert _standings(elsewhere) == [("message-1", _RUNNING, 2), ("message-2", _RUNNING, 1)]

    @pytest.mark.parametrize("state", [_RETRYING, _DEAD])
    def test_who_lost_the_claim_cannot_fail_over_the_successor_nor_its_completion(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, state: ProcessingState
    ) -> None:
        _claim(units, _running(0, 60))
        _claim(elsewhere, _running(60, 120))
        late = replace(entry(state=state, started_at=at(61)), fence=1)
        assert _fail(units, late) == set()
        assert _standings(elsewhere) == [("message-1", _RUNNING, 2)]
        _complete(elsewhere, replace(entry(), fence=2))
        assert _fail(units, late) == set()
        assert _standings(elsewhere) == [("message-1", _COMPLETED, 2)]

    @pytest.mark.parametrize("state", [_RETRYING, _DEAD])
    def test_a_failure_ends_the_claim_and_the_next_has_a_higher_fence(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, state: ProcessingState
    ) -> None:
        _claim(units, _running(0, 600))
        failed = replace(entry(state=state, fingerprint="0123456789abcdef"), fence=1)
        assert _fail(units, failed) == {_ONE}
        assert _trace(elsewhere) == [failed]
        standing = _claim(elsewhere, _running(1, 601))[_ONE]
        assert (standing.taken, standing.fence) == (True, 2)

    def test_failures_of_a_batch_are_recorded_as_far_as_their_claims_stand(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        ids = ("message-1", "message-2", "message-3")
        _claim(units, *(_running(0, 60, id_) for id_ in ids))
        _claim(elsewhere, _running(60, 120, "message-2"))
        states = (_DEAD, _RETRYING, _RETRYING)
        late = [replace(entry(id_, state), fence=1) for id_, state in zip(ids, states, strict=True)]
        assert _fail(units, *late) == {"message-1", "message-3"}

    def test_a_claim_without_a_row_is_lost(self, units: UnitOfWorkFactory) -> None:
        with pytest.raises(ClaimLostError):
            _complete(units, replace(entry(), fence=1))
        assert _fail(units, replace(entry(state=_DEAD), fence=1)) == set()
        assert _renew(units, 1, until=at(60)) == {_ONE}

    # Renewing

    def test_a_renewed_lease_lasts_until_its_new_end(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60))
        assert _renew(units, 1, until=at(120)) == set()
        assert _claim(elsewhere, _running(119, 180))[_ONE].leased_until == at(120)
        assert _claim(elsewhere, _running(120, 180))[_ONE].taken

    def test_who_lost_the_claim_renews_nothing_and_is_told(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60), _running(0, 600, "message-2"))
        _claim(elsewhere, _running(60, 120))
        with units.begin(TENANT) as unit:
            claims = [Claim(FUNCTION, MessageId(id_), 1) for id_ in ("message-1", "message-2")]
            assert unit.journal.renew(claims, until=at(900)) == {_ONE}
            unit.commit()
        assert [one.leased_until for one in _trace(elsewhere)] == [at(120), at(900)]

    def test_a_claim_that_has_ended_cannot_be_renewed(self, units: UnitOfWorkFactory) -> None:
        _claim(units, _running(0, 60))
        _complete(units, replace(entry(), fence=1))
        assert _renew(units, 1, until=at(120)) == {_ONE}
        assert _standings(units) == [("message-1", _COMPLETED, 1)]

    # Held and given up

    def test_a_lease_that_ran_out_is_held_if_that_is_the_policy(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60), on_lost=OnLost.HOLD)
        for _ in range(2):
            standing = _claim(elsewhere, _running(60, 120), on_lost=OnLost.HOLD)[_ONE]
            assert (standing.taken, standing.state, standing.fence) == (False, _HELD, 1)
        held = replace(_running(0, 60), state=_HELD, fence=1, leased_until=None)
        assert _held(elsewhere) == [held]

    def test_a_lease_that_ran_out_is_given_up_if_that_is_the_policy(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 60), on_lost=OnLost.DEAD_LETTER)
        for _ in range(2):
            standing = _claim(elsewhere, _running(60, 120), on_lost=OnLost.DEAD_LETTER)[_ONE]
            assert (standing.taken, standing.state, standing.fence) == (False, _GIVEN_UP, 1)
        assert _held(units) == []
        assert _standings(units) == [("message-1", _GIVEN_UP, 1)]

    @pytest.mark.parametrize("on_lost", [OnLost.HOLD, OnLost.DEAD_LETTER])
    def test_whose_claim_was_declared_lost_neither_completes_nor_waits_for_a_retry(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, on_lost: OnLost
    ) -> None:
        _claim(units, _running(0, 60), on_lost=on_lost)
        _claim(elsewhere, _running(60, 120), on_lost=on_lost)
        with pytest.raises(ClaimLostError):
            _complete(units, replace(entry(), fence=1))
        assert _fail(units, replace(entry(state=_RETRYING), fence=1)) == set()
        assert _renew(units, 1, until=at(120)) == {_ONE}

    @pytest.mark.parametrize("on_lost", [OnLost.HOLD, OnLost.DEAD_LETTER])
    def test_a_released_message_is_claimed_again_with_a_higher_fence(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, on_lost: OnLost
    ) -> None:
        _lose(units, on_lost=on_lost)
        assert _release(elsewhere, "message-1", "message-2") == {_ONE}
        assert _held(units) == []
        standing = _claim(units, _running(200, 260), on_lost=on_lost)[_ONE]
        assert (standing.taken, standing.fence) == (True, 2)

    def test_a_held_message_that_is_given_up_stays_so(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _lose(units)
        assert _give_up(elsewhere, "message-1", "message-2") == {_ONE}
        assert _held(units) == []
        assert _claim(units, _running(200, 260), on_lost=OnLost.HOLD)[_ONE].state is _GIVEN_UP
        assert _give_up(elsewhere, "message-1") == set()

    def test_only_what_is_held_can_be_released_or_given_up(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _claim(units, _running(0, 600))
        _complete(units, entry("message-2"))
        assert _release(elsewhere, "message-1", "message-2", "message-3") == set()
        assert _give_up(elsewhere, "message-1", "message-2", "message-3") == set()
        assert _standings(units) == [("message-1", _RUNNING, 1), ("message-2", _COMPLETED, 0)]

    def test_held_messages_are_told_longest_first_and_each_tenant_its_own(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        for number in (3, 1, 2):
            _lose(units, f"message-{number}", begins=number)
        assert [one.message_id for one in _held(elsewhere)] == ["message-1", "message-2", "message-3"]
        assert [one.message_id for one in _held(elsewhere, limit=2)] == ["message-1", "message-2"]
        assert _held(elsewhere, tenant=OTHER_TENANT) == []
        with elsewhere.begin(OTHER_TENANT) as unit:
            assert unit.journal.release(FUNCTION, [_ONE]) == set()


def _running(begins: int, ends: int, message_id: str = "message-1") -> JournalEntry:
    begun = entry(message_id, _RUNNING, started_at=at(begins))
    return replace(begun, finished_at=at(begins), leased_until=at(ends))


def _claim(
    units: UnitOfWorkFactory,
    *entries: JournalEntry,
    on_lost: OnLost = OnLost.RERUN,
    tenant: TenantId = TENANT,
) -> Mapping[MessageId, Standing]:
    with units.begin(tenant) as unit:
        standings = unit.journal.claim(entries, on_lost=on_lost)
        unit.commit()
    return standings


def _lose(
    units: UnitOfWorkFactory,
    message_id: str = "message-1",
    *,
    begins: int = 0,
    on_lost: OnLost = OnLost.HOLD,
) -> None:
    for second in (begins, begins + 60):
        _claim(units, _running(second, second + 60, message_id), on_lost=on_lost)


def _complete(units: UnitOfWorkFactory, *entries: JournalEntry) -> frozenset[MessageId]:
    with units.begin(TENANT) as unit:
        accepted = unit.journal.complete(entries)
        unit.commit()
    return accepted


def _fail(units: UnitOfWorkFactory, *entries: JournalEntry) -> frozenset[MessageId]:
    with units.begin(TENANT) as unit:
        recorded = unit.journal.fail(entries)
        unit.commit()
    return recorded


def _renew(units: UnitOfWorkFactory, fence: int, *, until: datetime) -> frozenset[MessageId]:
    with units.begin(TENANT) as unit:
        lost = unit.journal.renew([Claim(FUNCTION, _ONE, fence)], until=until)
        unit.commit()
    return lost


def _release(units: UnitOfWorkFactory, *ids: str) -> frozenset[MessageId]:
    with units.begin(TENANT) as unit:
        released = unit.journal.release(FUNCTION, [MessageId(id_) for id_ in ids])
        unit.commit()
    return released


def _give_up(units: UnitOfWorkFactory, *ids: str) -> frozenset[MessageId]:
    with units.begin(TENANT) as unit:
        given_up = unit.journal.give_up(FUNCTION, [MessageId(id_) for id_ in ids])
        unit.commit()
    return given_up


def _held(units: UnitOfWorkFactory, *, limit: int = 100, tenant: TenantId = TENANT) -> Sequence[JournalEntry]:
    with units.begin(tenant) as unit:
        return list(unit.journal.held(limit=limit))


def _trace(units: UnitOfWorkFactory) -> list[JournalEntry]:
    with units.begin(TENANT) as unit:
        return sorted(unit.journal.trace("request-1"), key=lambda one: one.message_id)


def _standings(units: UnitOfWorkFactory) -> list[tuple[str, ProcessingState, int]]:
    return [(one.message_id, one.state, one.fence) for one in _trace(units)]
