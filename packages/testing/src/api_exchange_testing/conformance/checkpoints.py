"""What every `Checkpoints` does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.checkpoint import Checkpoint, Run, Sighting
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.source_name import Window
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, NOW, OTHER_TENANT, TENANT, at
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.storage import StorageSuite

FIRST = Checkpoint(source="orders", version=1, cursor={"page": 1}, updated_at=NOW)
FULL = Checkpoint(
    source="orders",
    version=2,
    cursor={"after": EVERY_SCRIPT, "large": 2**70, "small": 1e-300, "parts": [None, True, ""], "nul": "\0"},
    watermark=at(-60),
    seen={"0123456789abcdef": Sighting(at(-61), "fedcba9876543210")},
    run=Run(
        id="message-1",
        queue="fetch-orders",
        started_at=at(-5),
        window=Window(at(-3600), None),
        pages=3,
        records=250,
        highest=at(-1),
        mark="a" * 64,
    ),
    runner="message-4",
    leased_until=at(600),
    updated_at=at(1),
)


class CheckpointsSuite(StorageSuite):
    """Needs a fixture `storage` that returns a `Storage`."""

    def test_a_source_that_was_never_extracted_has_none(self, units: UnitOfWorkFactory) -> None:
        with units.begin(TENANT) as unit:
            assert unit.checkpoints.get("orders") is None
            assert unit.checkpoints.all() == []

    def test_a_checkpoint_is_read_back_as_it_was_written(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        _write(units, FIRST)
        _write(units, FULL)
        assert _read(elsewhere) == FULL

    @pytest.mark.parametrize("cursor", [None, "", 0, False, [], {}, 2**64, 0.1])
    def test_every_json_is_a_cursor(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, cursor: object
    ) -> None:
        _write(units, Checkpoint(source="orders").saved(cursor, now=NOW, watermark=None))
        stored = _read(elsewhere)
        assert stored is not None
        assert (stored.cursor, type(stored.cursor)) == (cursor, type(cursor))

    def test_what_a_unit_of_work_has_written_it_reads(self, units: UnitOfWorkFactory) -> None:
        with units.begin(TENANT) as unit:
            unit.checkpoints.write([FIRST])
            assert unit.checkpoints.get("orders") == FIRST
            unit.checkpoints.write([FULL])
            assert unit.checkpoints.all() == [FULL]

    def test_what_is_not_committed_is_not_written(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with units.begin(TENANT) as unit:
            unit.checkpoints.write([FIRST])
        assert _read(elsewhere) is None

    @pytest.mark.parametrize("stale", [1, 2, 4, 5])
    def test_only_the_next_version_is_written(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory, stale: int
    ) -> None:
        _write(units, FIRST)
        _write(units, FULL)
        with pytest.raises(LostRaceError):
            _write(units, replace(FULL, version=stale, cursor="stale"))
        assert _read(elsewhere) == FULL

    def test_a_later_version_is_not_written_where_there_is_none(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        with pytest.raises(LostRaceError):
            _write(units, FULL)
        assert _read(elsewhere) is None

    def test_all_come_by_source_and_are_the_tenants_own(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        names = ["b", "B", "a", "orders@2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", "Ω"]
        with units.begin(TENANT) as unit:
            unit.checkpoints.write([replace(FIRST, source=name) for name in names])
            unit.commit()
        _write(units, replace(FIRST, cursor="another's"), tenant=OTHER_TENANT)
        with elsewhere.begin(TENANT) as unit:
            assert [checkpoint.source for checkpoint in unit.checkpoints.all()] == sorted(names)
            assert unit.checkpoints.get("orders") is None
        with elsewhere.begin(OTHER_TENANT) as unit:
            assert [checkpoint.cursor for checkpoint in unit.checkpoints.all()] == ["another's"]

    def test_of_many_that_write_the_same_version_one_does(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        rounds = 5

        def race(thread: int) -> int:
            won = 0
            for version in range(1, rounds + 1):
                try:
                    _write(units, replace(FIRST, version=version, cursor=[thread, version]))
                    won += 1
                except LostRaceError:
                    while (stored := _read(units)) is None or stored.version < version:
                        pass
            return won

        assert sum(all_at_once(race)) == rounds
        stored = _read(elsewhere)
        assert stored is not None
        assert stored.version == rounds

    def test_times_keep_their_microseconds(
        self, units: UnitOfWorkFactory, elsewhere: UnitOfWorkFactory
    ) -> None:
        fine = NOW + timedelta(microseconds=1)
        _write(units, replace(FIRST, watermark=fine, leased_until=fine))
        stored = _read(elsewhere)
        assert stored is not None
        assert (stored.watermark, stored.leased_until, stored.updated_at) == (fine, fine, NOW)


def _write(units: UnitOfWorkFactory, checkpoint: Checkpoint, *, tenant: TenantId = TENANT) -> None:
    with units.begin(tenant) as unit:
        unit.checkpoints.write([checkpoint])
        unit.commit()


def _read(units: UnitOfWorkFactory) -> Checkpoint | None:
    with units.begin(TENANT) as unit:
        return unit.checkpoints.get("orders")
