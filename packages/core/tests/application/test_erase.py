from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core.adapters.json.canonical_encoder import OrjsonCanonicalEncoder
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.application.erase import BATCH, SETTLING, EraseEntity, EraseTenant
from api_exchange_core.application.tenant_gate import GATE_MEMORY
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.erasure import Subject
from api_exchange_core.domain.errors import PermanentError, TenantError, TransientError
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.domain.tenant import tenant_context
from api_exchange_testing import (
    InMemoryEraser,
    InMemoryFileSink,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryUnitOfWorkFactory,
    SeededRandomness,
    VirtualClock,
)
from api_exchange_testing.memory.sleeper import VirtualSleeper

ACME, OTHER = TenantId("acme"), TenantId("other")


class Unreliable(InMemoryEraser):
    """Fails once, after it has removed something."""

    fails = False

    @override
    def remove(self, subject: Subject, part: str, *, erasure_id: str, limit: int) -> int:
        removed = super().remove(subject, part, erasure_id=erasure_id, limit=limit)
        if removed and self.fails:
            self.fails = False
            raise TransientError("the store is gone")
        return removed


@dataclass
class Bench:
    """Two tenants with three orders and a file each; one is disabled."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(datetime(2026, 3, 1, tzinfo=UTC)))
    store: InMemoryStore = field(default_factory=InMemoryStore)
    files: InMemoryFileSink = field(default_factory=InMemoryFileSink)
    tenants: InMemoryTenantDirectory = field(default_factory=InMemoryTenantDirectory)
    batches: list[int] = field(default_factory=list)
    randomness: SeededRandomness = field(default_factory=lambda: SeededRandomness(1))

    def __post_init__(self) -> None:
        self.eraser = Unreliable(self.store)
        self.tenants.add([ACME, OTHER], now=self.clock.now())
        self.tenants.set_enabled(ACME, enabled=False)
        for tenant in (ACME, OTHER):
            self.files.append(tenant, "orders.jsonl", [b"{}"])
            self.persist(tenant, ["1", "2", "3"])

    def persist(self, tenant: TenantId, external_ids: Sequence[str]) -> list[EntityId]:
        service = EntityService(
            InMemoryUnitOfWorkFactory(self.store), ContentHasher(encode=OrjsonCanonicalEncoder()), self.clock
        )
        with tenant_context(tenant):
            return [
                EntityId(
                    service.create_entity(
                        external_id=id_, canonical_type="order", source="shop", data={"n": id_}
                    ).id
                )
                for id_ in external_ids
            ]

    @property
    def erase(self) -> EraseTenant:
        return EraseTenant(
            self.tenants, self.eraser, self.files, self.clock, self.randomness, VirtualSleeper(self.clock)
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_enabled_or_unknown_tenant_is_not_erased(bench: Bench) -> None:
    with pytest.raises(TenantError, match="tenants disable other"):
        bench.erase.run(OTHER, requested_by="operator")
    with pytest.raises(TenantError, match="unknown"):
        bench.erase.run(TenantId("nobody"), requested_by="operator")
    assert list(bench.eraser.records()) == []


def test_a_tenant_goes_with_its_files_and_a_record_says_so(bench: Bench) -> None:
    record = bench.erase.run(ACME, requested_by="operator", removed=bench.batches.append)
    assert dict(record.removed) == {"entities": 3, "entity_versions": 3, "files": 1}
    assert (record.tenant_id, record.entity_proof, record.requested_by) == (ACME, None, "operator")
    assert record.finished_at == record.started_at + SETTLING
    assert sum(bench.batches) == 6
    assert dict(bench.eraser.held(Subject(ACME))) == {}
    assert bench.files.names(ACME) == []
    assert dict(bench.eraser.held(Subject(OTHER))) == {"entities": 3, "entity_versions": 3}
    assert bench.files.names(OTHER) == ["orders.jsonl"]


def test_the_wait_is_longer_than_anybody_remembers_the_tenant() -> None:
    assert SETTLING > GATE_MEMORY


def test_many_rows_go_in_batches(bench: Bench) -> None:
    bench.persist(ACME, [str(number) for number in range(BATCH + 5)])
    bench.erase.run(ACME, requested_by="operator", removed=bench.batches.append)
    assert max(bench.batches) == BATCH
    assert sum(bench.batches) == 2 * (BATCH + 5)


def test_what_is_broken_off_goes_on_with_the_same_record(bench: Bench) -> None:
    bench.eraser.fails = True
    with pytest.raises(TransientError):
        bench.erase.run(ACME, requested_by="operator")
    record = bench.erase.run(ACME, requested_by="somebody else")
    assert list(bench.eraser.records()) == [record]
    assert record.requested_by == "operator"
    assert dict(record.removed) == {"entities": 3, "entity_versions": 3, "files": 1}


def test_a_tenant_that_was_erased_long_ago_is_not_waited_for(bench: Bench) -> None:
    bench.erase.run(ACME, requested_by="operator")
    before = bench.clock.now()
    bench.erase.run(ACME, requested_by="operator")
    assert bench.clock.now() == before


def test_a_sweep_removes_what_came_to_be_held_all_the_same(bench: Bench) -> None:
    bench.erase.run(ACME, requested_by="operator")
    assert bench.erase.sweep() == 0
    bench.persist(ACME, ["late"])
    bench.files.append(ACME, "late.jsonl", [b"{}"])
    assert bench.erase.sweep() == 3
    assert dict(bench.eraser.held(Subject(ACME))) == {}
    assert [one.requested_by for one in bench.eraser.records()] == ["operator", "sweep"]
    assert len(bench.eraser.held(Subject(OTHER))) == 2


def test_rows_that_come_back_for_ever_end_it(bench: Bench) -> None:
    class Endless(InMemoryEraser):
        @override
        def remove(self, subject: Subject, part: str, *, erasure_id: str, limit: int) -> int:
            bench.persist(ACME, ["again"])
            return super().remove(subject, part, erasure_id=erasure_id, limit=limit)

    endless = EraseEntity(Endless(bench.store), bench.clock, SeededRandomness(1))
    with pytest.raises(PermanentError, match="come back"):
        endless.run(Subject(ACME, bench.persist(ACME, ["again"])[0]), requested_by="operator")


def test_who_has_the_receipt_and_the_id_can_show_which_entity_was_erased(bench: Bench) -> None:
    (id_,) = bench.persist(OTHER, ["1"])
    erase = EraseEntity(bench.eraser, bench.clock, SeededRandomness(2))
    record, receipt = erase.run(Subject(OTHER, id_), requested_by="operator")
    assert record.entity_proof == hmac.new(receipt.encode(), id_.encode(), hashlib.sha256).hexdigest()
    assert dict(record.removed) == {"entities": 1, "entity_versions": 1}
    assert receipt not in repr(bench.eraser.records())
    assert id_ not in repr(bench.eraser.records())
    assert dict(bench.eraser.held(Subject(OTHER))) == {"entities": 2, "entity_versions": 2}


def test_an_entity_of_a_tenant_at_work_is_erased_without_a_wait(bench: Bench) -> None:
    (id_,) = bench.persist(OTHER, ["1"])
    before = bench.clock.now()
    EraseEntity(bench.eraser, bench.clock, SeededRandomness(2)).run(Subject(OTHER, id_), requested_by="o")
    assert bench.clock.now() - before == timedelta(0)


def test_a_sweep_leaves_an_erasure_that_is_under_way_to_whoever_does_it_until_it_was_broken_off(
    bench: Bench,
) -> None:
    bench.eraser.fails = True
    with pytest.raises(TransientError):
        bench.erase.run(ACME, requested_by="operator")
    bench.clock.advance(timedelta(minutes=59))
    assert bench.erase.sweep() == 0
    bench.clock.advance(timedelta(minutes=1))
    assert bench.erase.sweep() > 0
    [record] = bench.eraser.records()
    assert (record.requested_by, record.finished_at) == ("operator", bench.clock.now())
