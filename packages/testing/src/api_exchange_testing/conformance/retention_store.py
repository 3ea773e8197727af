"""What every `RetentionStore` does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from api_exchange_core.domain.entity import EntityKey
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.domain.retention import Expiry, Kept
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.retention import Place, RetentionStore
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    FUNCTION,
    NOW,
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
from api_exchange_testing.conformance.storage import StorageSuite

_DAY = timedelta(days=1)
_BOTH = (TENANT, OTHER_TENANT)


class RetentionStoreSuite(StorageSuite):
    """Needs fixtures `storage`, and `retention`, a `RetentionStore` of it."""

    def test_old_journal_entries_of_all_tenants_go_and_the_others_stay(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        for tenant in _BOTH:
            self._journal(units, tenant, old=5, new=3)
        assert self._purge(retention, Expiry(Kept.JOURNAL, before=NOW), limit=4) == 10
        for tenant in _BOTH:
            with elsewhere.begin(tenant) as unit:
                left = {one.message_id for one in unit.journal.trace("request-1")}
            assert left == {"new-0", "new-1", "new-2"}
        assert self._purge(retention, Expiry(Kept.JOURNAL, before=NOW), limit=4) == 0

    def test_a_message_whose_entry_is_gone_is_no_longer_known(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        self._journal(units, TENANT, old=1, new=1)
        self._purge(retention, Expiry(Kept.JOURNAL, before=NOW))
        with elsewhere.begin(TENANT) as unit:
            ids = [MessageId("old-0"), MessageId("new-0")]
            assert unit.journal.completed(FUNCTION, ids) == {"new-0"}

    def test_what_keeps_a_message_from_running_again_stays_however_old_it_is(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        def claim(*ids: str, day: int, on_lost: OnLost) -> None:
            began = NOW + (day - 9) * _DAY
            entries = [entry(id_, ProcessingState.RUNNING, started_at=began) for id_ in ids]
            with units.begin(TENANT) as unit:
                leased = [replace(one, leased_until=began + _DAY / 2) for one in entries]
                unit.journal.claim(leased, on_lost=on_lost)
                unit.commit()

        claim("running", "held", "given-up", day=0, on_lost=OnLost.RERUN)
        claim("held", day=1, on_lost=OnLost.HOLD)
        claim("given-up", day=1, on_lost=OnLost.DEAD_LETTER)
        self._journal(units, TENANT, old=1, new=0)
        assert self._purge(retention, Expiry(Kept.JOURNAL, before=NOW)) == 1
        with elsewhere.begin(TENANT) as unit:
            left = {one.message_id: one.state for one in unit.journal.trace("request-1")}
        assert left == {
            "running": ProcessingState.RUNNING,
            "held": ProcessingState.HELD,
            "given-up": ProcessingState.GIVEN_UP,
        }

    def test_what_is_as_old_as_the_limit_stays(
        self, units: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.errors.add([error(attempt=1)])
            unit.commit()
        assert self._purge(retention, Expiry(Kept.ERRORS, before=at(60))) == 0
        assert self._purge(retention, Expiry(Kept.ERRORS, before=at(61))) == 1

    def test_old_errors_go_and_the_others_stay(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        for tenant in _BOTH:
            with units.begin(tenant) as unit:
                unit.errors.add([error(attempt=attempt) for attempt in range(1, 8)])
                unit.commit()
        assert self._purge(retention, Expiry(Kept.ERRORS, before=at(60 * 5)), limit=3) == 8
        for tenant in _BOTH:
            with elsewhere.begin(tenant) as unit:
                left = [one.attempt for one in unit.errors.of_message(MessageId("message-1"))]
            assert left == [5, 6, 7]

    def test_a_dry_run_counts_and_removes_nothing(
        self, units: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        self._journal(units, TENANT, old=5, new=3)
        for _ in range(2):
            assert self._purge(retention, Expiry(Kept.JOURNAL, before=NOW), limit=2, dry_run=True) == 5

    def test_the_newest_versions_of_each_entity_stay(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        for tenant in _BOTH:
            self._history(units, key("long", tenant=tenant), [at(n) for n in range(9)])
            self._history(units, key("short", tenant=tenant), [at(n) for n in range(2)])
        assert self._purge(retention, Expiry(Kept.VERSIONS, beyond=3), limit=2) == 12
        for tenant in _BOTH:
            assert self._versions(elsewhere, key("long", tenant=tenant)) == [7, 8, 9]
            assert self._versions(elsewhere, key("short", tenant=tenant)) == [1, 2]

    def test_the_current_version_stays_however_old_it_is(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        self._history(units, key("4711"), [NOW - 9 * _DAY, NOW - 8 * _DAY])
        assert self._purge(retention, Expiry(Kept.VERSIONS, before=NOW)) == 1
        assert self._versions(elsewhere, key("4711")) == [2]

    def test_of_age_and_number_both_must_hold(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        self._history(units, key("old"), [NOW - _DAY] * 5)
        self._history(units, key("new"), [NOW - _DAY, *[NOW] * 4])
        assert self._purge(retention, Expiry(Kept.VERSIONS, before=NOW, beyond=3)) == 3
        assert self._versions(elsewhere, key("old")) == [3, 4, 5]
        assert self._versions(elsewhere, key("new")) == [2, 3, 4, 5]

    def test_a_history_has_no_gap_though_clocks_differed(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        old, new = NOW - _DAY, NOW
        self._history(units, key("4711"), [old, new, old, old, new])
        assert self._purge(retention, Expiry(Kept.VERSIONS, before=NOW)) == 1
        assert self._versions(elsewhere, key("4711")) == [2, 3, 4, 5]

    def test_a_history_has_no_gap_wherever_a_walk_is_broken_off(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, retention: RetentionStore
    ) -> None:
        self._history(units, key("4711"), [NOW - _DAY] * 8)
        place: Place | None = None
        while True:
            step = retention.purge(Expiry(Kept.VERSIONS, before=NOW), after=place, limit=3)
            left = self._versions(elsewhere, key("4711"))
            assert left == list(range(left[0], 9))
            if step.next is None:
                break
            place = step.next
        assert left == [8]

    @pytest.mark.parametrize("kept", list(Kept))
    def test_an_empty_store_has_nothing_to_purge(self, retention: RetentionStore, kept: Kept) -> None:
        assert self._purge(retention, Expiry(kept, before=NOW)) == 0

    def _purge(
        self, retention: RetentionStore, expiry: Expiry, *, limit: int = 100, dry_run: bool = False
    ) -> int:
        expired, place = 0, None
        while True:
            step = retention.purge(expiry, after=place, limit=limit, dry_run=dry_run)
            expired += step.expired
            if step.next is None:
                return expired
            place = step.next

    def _journal(self, units: UnitOfWorkFactory, tenant: TenantId, *, old: int, new: int) -> None:
        before = [entry(f"old-{n}", started_at=NOW - _DAY) for n in range(old)]
        after = [entry(f"new-{n}") for n in range(new)]
        for one in (*before, *after):
            with units.begin(tenant) as unit:
                unit.journal.complete([one])
                unit.commit()

    def _history(self, units: UnitOfWorkFactory, key_: EntityKey, times: list[datetime]) -> None:
        for version, time in enumerate(times, start=1):
            head_ = head(key_, version, content=str(version), updated_at=time)
            with units.begin(key_.tenant_id) as unit:
                unit.entities.write([on_top(head_)], [version_of(head_)])
                unit.commit()

    def _versions(self, units: UnitOfWorkFactory, key_: EntityKey) -> list[int]:
        with units.begin(key_.tenant_id) as unit:
            return [version.version for version in unit.entities.versions(key_.id)]
