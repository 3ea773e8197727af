"""What every `UnitOfWork` does, wherever its queues live."""

from __future__ import annotations

from functools import partial

import pytest

from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing.conformance._samples import (
    FUNCTION,
    NOW,
    OTHER_TENANT,
    TENANT,
    entry,
    error,
    head,
    key,
    line,
    on_top,
    version_of,
)
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.storage import Storage, StorageSuite

_MESSAGE = MessageId("message-1")
_ALL_OF_IT = (True, True, True, True)
_NOTHING = (False, False, False, False)


class UnitOfWorkSuite(StorageSuite):
    """Needs a fixture `storage` that returns a `Storage`."""

    def test_all_parts_are_committed_together(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            _write_everything(unit)
            unit.commit()
        assert _stored(storage, elsewhere) == _ALL_OF_IT

    def test_leaving_without_commit_writes_nothing(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            _write_everything(unit)
        assert _stored(storage, elsewhere) == _NOTHING

    def test_an_error_in_the_block_passes_through_and_nothing_is_written(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with pytest.raises(ZeroDivisionError), units.begin(TENANT) as unit:
            _write_everything(unit)
            raise ZeroDivisionError
        assert _stored(storage, elsewhere) == _NOTHING

    def test_a_lost_race_in_one_part_keeps_the_others_out(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        stale = head(key("stale"), 8)
        with pytest.raises(LostRaceError), units.begin(TENANT) as unit:
            _write_everything(unit)
            unit.entities.write([HeadWrite(stale, 7)], [version_of(stale)])
            unit.commit()
        assert _stored(storage, elsewhere) == _NOTHING

    def test_the_next_unit_of_work_begins_afresh(
        self, storage: Storage, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            _write_everything(unit)
        with units.begin(TENANT) as unit:
            unit.commit()
        assert _stored(storage, elsewhere) == _NOTHING

    def test_units_of_work_of_two_tenants_see_their_own_only(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            _write_everything(unit)
            unit.commit()
        assert _seen(elsewhere, OTHER_TENANT) == _NOTHING[1:]
        assert _seen(units, OTHER_TENANT) == _NOTHING[1:]
        with units.begin(OTHER_TENANT) as unit:
            _write_everything(unit, tenant=OTHER_TENANT)
            unit.commit()
        assert _seen(elsewhere, OTHER_TENANT) == _ALL_OF_IT[1:]

    def test_nobody_ever_sees_the_half_of_a_commit(self, storage: Storage) -> None:
        """Half of the threads write entity and journal together; the others read the one, then the other."""
        rounds = 10

        def write_or_read(thread: int) -> list[tuple[bool, bool]]:
            units = storage.connect()
            numbers = [f"{thread // 2}-{number}" for number in range(rounds)]
            if thread % 2:
                return [persistently(partial(_entity_then_journal, units, name)) for name in numbers]
            for name in numbers:
                persistently(partial(_write_pair, units, name))
            return []

        seen = [pair for pairs in all_at_once(write_or_read) for pair in pairs]
        assert [pair for pair in seen if pair == (True, False)] == []


def _write_everything(unit: UnitOfWork, *, tenant: TenantId = TENANT) -> None:
    new = head(key(tenant=tenant))
    unit.journal.complete([entry()])
    unit.entities.write([on_top(new)], [version_of(new)])
    unit.errors.add([error()])
    unit.outbox.add([line(tenant=tenant)], now=NOW)


def _stored(storage: Storage, units: UnitOfWorkFactory) -> tuple[bool, ...]:
    """Which of the four parts are there: outbox, entity, journal entry, error."""
    return (storage.relay_source.pending() > 0, *_seen(units, TENANT))


def _seen(units: UnitOfWorkFactory, tenant: TenantId) -> tuple[bool, ...]:
    with units.begin(tenant) as unit:
        return (
            unit.entities.count() > 0,
            bool(unit.journal.completed(FUNCTION, [_MESSAGE])),
            bool(unit.errors.of_message(_MESSAGE)),
        )


def _write_pair(units: UnitOfWorkFactory, name: str) -> None:
    new = head(key(name))
    with units.begin(TENANT) as unit:
        if unit.journal.complete([entry(name)]):
            unit.entities.write([on_top(new)], [version_of(new)])
        unit.commit()


def _entity_then_journal(units: UnitOfWorkFactory, name: str) -> tuple[bool, bool]:
    with units.begin(TENANT) as unit:
        entity = bool(unit.entities.heads([key(name).id]))
        return entity, bool(unit.journal.completed(FUNCTION, [MessageId(name)]))
