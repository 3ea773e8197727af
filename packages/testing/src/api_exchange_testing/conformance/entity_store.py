"""What every `EntityStore` does."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace

import pytest

from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.errors import ExchangeError, LostRaceError, TransientError
from api_exchange_core.domain.names import MAX_IDENTIFIER, EntityId, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.entity_store import SuspectedDuplicate
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    EVERY_SCRIPT,
    OTHER_TENANT,
    TENANT,
    at,
    head,
    key,
    on_top,
    version_of,
)
from api_exchange_testing.conformance._threads import THREADS, all_at_once, persistently
from api_exchange_testing.conformance.storage import Storage, StorageSuite

_LARGEST_INTEGER = 2**63 - 1
_TIME_ENOUGH = 0.2
"""Real seconds in which another thread would have written, if nothing kept it."""


class EntityStoreSuite(StorageSuite):
    """Needs a fixture `storage` that returns a `Storage`."""

    def test_an_entity_that_does_not_exist_has_no_head(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        there = _stored(units, head(key("there")))
        assert _heads(elsewhere, [key("not-there").id, there.id]) == {there.id: there}
        assert _heads(elsewhere, []) == {}

    @pytest.mark.parametrize(
        "external_id",
        [
            EVERY_SCRIPT,
            "👩" * MAX_IDENTIFIER,
            "a'b\"c\\d%e_f;--",
            " leading and trailing ",
            "../../x",
            "\u007f\r\n\t",
        ],
    )
    def test_a_head_reads_back_as_it_was_written(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, external_id: str
    ) -> None:
        written = _stored(units, head(key(external_id), source_version=_LARGEST_INTEGER))
        assert _heads(elsewhere, [written.id]) == {written.id: written}

    def test_external_ids_that_differ_in_case_or_form_are_different_entities(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        written = [_stored(units, head(key(id_))) for id_ in ("a", "A", "á", "a\u0301", "a ")]
        assert _heads(elsewhere, [one.id for one in written]) == {one.id: one for one in written}

    def test_a_source_version_of_nought_is_not_none(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        nought, none = (
            _stored(units, head(key("nought"), source_version=0)),
            _stored(units, head(key("none"))),
        )
        assert _heads(elsewhere, [nought.id, none.id]) == {nought.id: nought, none.id: none}

    def test_a_new_version_replaces_the_head(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _stored(units, head(key(), 1, content="a"))
        second = _stored(units, head(key(), 2, content="b", updated_at=at(60)))
        assert _heads(elsewhere, [second.id]) == {second.id: second}

    @pytest.mark.parametrize(("stored", "replaces"), [(0, 1), (1, 0), (2, 1), (2, 3)])
    def test_a_write_on_another_version_than_the_stored_one_is_refused(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, stored: int, replaces: int
    ) -> None:
        before = [_stored(units, head(key(), version)) for version in range(1, stored + 1)]
        stale = head(key(), replaces + 1, content="stale")
        with pytest.raises(LostRaceError), units.begin(TENANT) as unit:
            unit.entities.write([HeadWrite(stale, replaces)], [version_of(stale)])
            unit.commit()
        assert list(_heads(elsewhere, [stale.id]).values()) == before[-1:]
        assert len(_versions(elsewhere, stale.id)) == stored

    def test_after_a_refused_write_the_unit_of_work_cannot_commit(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        stored = _stored(units, head(key()))
        new = head(key("new"))
        with pytest.raises(TransientError), units.begin(TENANT) as unit:
            unit.entities.write([on_top(new)], [version_of(new)])
            with suppress(LostRaceError):
                unit.entities.write([HeadWrite(stored, replaces=7)], [])
            unit.commit()
        assert _heads(elsewhere, [new.id]) == {}

    def test_one_stale_head_keeps_all_of_a_write_out(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        stored = _stored(units, head(key("stored")))
        fresh = [head(key(f"fresh-{number}")) for number in range(3)]
        with pytest.raises(LostRaceError), units.begin(TENANT) as unit:
            heads = [HeadWrite(replace(stored, version=3), 2), *map(on_top, fresh)]
            unit.entities.write(heads, [version_of(one.head) for one in heads])
            unit.commit()
        assert _heads(elsewhere, [stored.id, *(one.id for one in fresh)]) == {stored.id: stored}

    def test_many_entities_are_written_and_read_in_one_go(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        heads = [head(key(str(number)), content=str(number)) for number in range(1_200)]
        _store(units, heads)
        assert _heads(elsewhere, [one.id for one in heads]) == {one.id: one for one in heads}

    def test_versions_are_kept_oldest_first(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        heads = [
            head(key(), version, content=str(version), updated_at=at(version)) for version in range(1, 12)
        ]
        for one in heads:
            _stored(units, one)
        assert _versions(elsewhere, key().id) == [version_of(one) for one in heads]

    def test_a_version_reads_back_as_it_was_written(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        first = version_of(
            head(key()), field_hashes={EVERY_SCRIPT: "0123456789abcdef", "": "fedcba9876543210"}
        )
        second = replace(
            version_of(head(key(), 2)), field_hashes={}, message_id=None, correlation_id=None, operation=None
        )
        with units.begin(TENANT) as unit:
            unit.entities.write([HeadWrite(head(key(), 2), 0)], [first, second])
            unit.commit()
        assert _versions(elsewhere, key().id) == [first, second]

    def test_an_entity_that_does_not_exist_has_no_versions(self, units: UnitOfWorkFactory) -> None:
        assert _versions(units, key().id) == []

    def test_entities_are_counted_by_type_and_in_all(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _store(units, [head(key("1")), head(key("2")), head(key("1", canonical_type="invoice"))])
        _stored(units, head(key("1"), 2, content="b"))
        with elsewhere.begin(TENANT) as unit:
            assert unit.entities.count() == 3
            assert unit.entities.count(canonical_type="order") == 2
            assert unit.entities.count(canonical_type="shipment") == 0

    def test_entities_of_two_tenants_are_kept_apart(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        mine = _stored(units, head(key("4711"), content="mine"))
        theirs = _stored(units, head(key("4711", tenant=OTHER_TENANT), content="theirs"))
        for tenant, own, foreign in ((TENANT, mine, theirs), (OTHER_TENANT, theirs, mine)):
            with elsewhere.begin(tenant) as unit:
                assert unit.entities.heads([own.id, foreign.id]) == {own.id: own}
                assert list(unit.entities.versions(own.id)) == [version_of(own)]
                assert list(unit.entities.versions(foreign.id)) == []
                assert unit.entities.count() == 1

    def test_a_unit_of_work_cannot_write_for_another_tenant(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        theirs = head(key(tenant=OTHER_TENANT), content="smuggled")
        with suppress(ExchangeError), units.begin(TENANT) as unit:
            unit.entities.write([on_top(theirs)], [version_of(theirs)])
            unit.commit()
        assert _heads(elsewhere, [theirs.id], tenant=OTHER_TENANT) == {}
        own = _stored(units, head(key(tenant=OTHER_TENANT), content="own"))
        assert _heads(elsewhere, [own.id], tenant=OTHER_TENANT) == {own.id: own}

    def test_many_writers_of_one_entity_lose_no_update_and_leave_no_gap(
        self, storage: Storage, elsewhere: UnitOfWorkFactory
    ) -> None:
        each = 5

        def write(_: int) -> None:
            units = storage.connect()
            for _ in range(each):
                persistently(lambda: _next_version(units, lock=False))

        all_at_once(write)
        versions = _versions(elsewhere, key().id)
        assert [version.version for version in versions] == list(range(1, THREADS * each + 1))
        assert _heads(elsewhere, [key().id])[key().id].version == THREADS * each

    def test_of_many_that_create_an_entity_one_wins(
        self, storage: Storage, elsewhere: UnitOfWorkFactory
    ) -> None:
        def create(thread: int) -> bool:
            units = storage.connect()
            return persistently(lambda: _created(units, head(key(), content=str(thread))))

        assert sum(all_at_once(create)) == 1
        assert len(_versions(elsewhere, key().id)) == 1

    @pytest.mark.parametrize("lock", [True, False])
    def test_others_wait_for_who_has_locked_a_head(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, lock: bool
    ) -> None:
        _stored(units, head(key()))
        other = storage.connect()
        with ThreadPoolExecutor() as pool:
            with units.begin(TENANT) as unit:
                unit.entities.heads([key().id], lock=True)
                waiting = pool.submit(persistently, lambda: _next_version(other, lock=lock))
                wait([waiting], timeout=_TIME_ENOUGH)
                assert not waiting.done()
                second = head(key(), 2, content="second")
                unit.entities.write([on_top(second)], [version_of(second)])
                unit.commit()
            waiting.result()
        assert [version.version for version in _versions(elsewhere, key().id)] == [1, 2, 3]

    def test_who_has_locked_a_head_loses_no_race_for_it(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _stored(units, head(key()))
        lost: list[int] = []

        def write(thread: int) -> None:
            own = storage.connect()

            def attempt() -> None:
                try:
                    _next_version(own, lock=True)
                except LostRaceError:
                    lost.append(thread)
                    raise

            persistently(attempt)

        all_at_once(write)
        assert lost == []
        assert _heads(elsewhere, [key().id])[key().id].version == 1 + THREADS

    def test_a_head_that_is_locked_is_there_for_others_when_the_unit_of_work_ends(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        stored = _stored(units, head(key()))
        with units.begin(TENANT) as unit:
            assert unit.entities.heads([stored.id, key("not-there").id], lock=True) == {stored.id: stored}
        second = _stored(elsewhere, head(key(), 2))
        assert _heads(elsewhere, [stored.id], lock=True) == {stored.id: second}

    def test_the_same_content_under_another_external_id_is_a_suspected_duplicate_of_the_oldest(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        for age, external_id in enumerate(["9", "5", "7"]):
            _stored(units, head(key(external_id), content="same", updated_at=at(age)))
        _stored(units, head(key("unlike"), content="other", updated_at=at(9)))
        expected = [SuspectedDuplicate(key("5"), key("9")), SuspectedDuplicate(key("7"), key("9"))]
        assert _suspected(elsewhere) == expected
        assert _suspected(elsewhere, limit=1) == expected[:1]

    def test_other_types_other_sources_and_other_tenants_are_no_duplicates(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        for key_ in (
            key("1"),
            key("2", canonical_type="invoice"),
            key("3", source="another-shop"),
            key("4", tenant=OTHER_TENANT),
        ):
            _stored(units, head(key_, content="same"))
        assert _suspected(elsewhere) == []

    def test_content_that_has_changed_since_is_no_duplicate(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _stored(units, head(key("1"), content="same"))
        _stored(units, head(key("2"), content="same", updated_at=at(1)))
        _stored(units, head(key("2"), 2, content="other", updated_at=at(2)))
        assert _suspected(elsewhere) == []


def _store(units: UnitOfWorkFactory, heads: Sequence[EntityHead]) -> None:
    with units.begin(heads[0].key.tenant_id) as unit:
        unit.entities.write([on_top(one) for one in heads], [version_of(one) for one in heads])
        unit.commit()


def _stored(units: UnitOfWorkFactory, head_: EntityHead) -> EntityHead:
    _store(units, [head_])
    return head_


def _created(units: UnitOfWorkFactory, head_: EntityHead) -> bool:
    """Whether this one was first."""
    try:
        _stored(units, head_)
    except LostRaceError:
        return False
    return True


def _next_version(units: UnitOfWorkFactory, *, lock: bool) -> None:
    entity: EntityKey = key()
    with units.begin(TENANT) as unit:
        current = unit.entities.heads([entity.id], lock=lock).get(entity.id)
        version = 1 if current is None else current.version + 1
        new = head(entity, version, content=str(version), updated_at=at(version))
        unit.entities.write([on_top(new)], [version_of(new)])
        unit.commit()


def _heads(
    units: UnitOfWorkFactory, ids: Sequence[EntityId], *, tenant: TenantId = TENANT, lock: bool = False
) -> dict[EntityId, EntityHead]:
    with units.begin(tenant) as unit:
        return dict(unit.entities.heads(ids, lock=lock))


def _versions(units: UnitOfWorkFactory, id_: EntityId) -> list[EntityVersion]:
    with units.begin(TENANT) as unit:
        return list(unit.entities.versions(id_))


def _suspected(units: UnitOfWorkFactory, limit: int = 100) -> list[SuspectedDuplicate]:
    with units.begin(TENANT) as unit:
        return list(unit.entities.suspected_duplicates(canonical_type="order", limit=limit))
