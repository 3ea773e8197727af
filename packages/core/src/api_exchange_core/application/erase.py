"""Erasing a tenant or an entity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from api_exchange_core.application.tenant_gate import GATE_MEMORY
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.errors import PermanentError, TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.tenant_directory import TenantDirectory

BATCH: Final = 1_000
"""Rows removed by one statement."""

SETTLING: Final = 2 * GATE_MEMORY
"""How long after a tenant was marked as erased the last commit may come of a process that had not noticed."""

_SWEEPER: Final = "sweep"
_BROKEN_OFF_AFTER: Final = timedelta(hours=1)
_MOST_PASSES: Final = 100

Removed = Callable[[int], None]
"""Is told of each batch how many rows it removed."""


def _unheard(_: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class EraseTenant:
    """Removes all that is held of a disabled tenant; its id stays, marked, so that nothing comes back under it.

    What was begun is finished by calling `run` again: it goes on with the record that it finds open.

    Args:
        tenants: where the tenant is marked.
        eraser: of the store.
        files: where its output is.
        clock: tells the time.
        randomness: makes the ids of records.
        sleeper: lets time pass between steps.
    """

    tenants: TenantDirectory
    eraser: Eraser
    files: FileSink
    clock: Clock
    randomness: Randomness
    sleeper: Sleeper

    def check(self, tenant_id: TenantId) -> Tenant:
        """The tenant, if it may be erased.

        Raises:
            TenantError: it is unknown or enabled.
        """
        tenant = self.tenants.get(tenant_id)
        if tenant is None:
            raise TenantError(f"tenant {tenant_id!r} is unknown: there is nothing to erase")
        if tenant.enabled:
            raise TenantError(
                f"tenant {tenant_id!r} is enabled: disable it first (`api-exchange tenants disable {tenant_id}`)"
            )
        return tenant

    def run(self, tenant_id: TenantId, *, requested_by: str, removed: Removed = _unheard) -> Erasure:
        """Erase a tenant.

        First it is marked, so that no process begins anything for it. What was held is then removed and, when those
        that had not noticed have come to their end, what they wrote. Messages that come later are dropped.

        Args:
            tenant_id: which.
            requested_by: who wants it, for the record.
            removed: is told of each batch.

        Raises:
            TenantError: it is unknown or enabled.
            TransientError: the store is out of reach; calling again goes on.
        """
        self.check(tenant_id)
        self.tenants.mark_erased(tenant_id, now=self.clock.now())
        settled_at = (self.check(tenant_id).erased_at or self.clock.now()) + SETTLING
        erasure = self._open_record(tenant_id) or self._new_record(tenant_id, requested_by)
        subject = Subject(tenant_id)
        empty(self.eraser, subject, erasure.id, removed)
        files = self.files.erase(tenant_id)
        left = settled_at - self.clock.now()
        if left > timedelta(0):
            self.sleeper.sleep(left)
            empty(self.eraser, subject, erasure.id, removed)
            files += self.files.erase(tenant_id)
        self.eraser.finish(erasure.id, files=files, now=self.clock.now())
        return _record(self.eraser, erasure.id)

    def sweep(self) -> int:
        """Remove what has come to be held of erased tenants all the same; how many rows and files that was.

        To be called now and then. There is nothing to find, unless a process stood still while its tenant was erased,
        or an erasure was broken off. One that is under way is left to whoever does it.
        """
        swept = 0
        erased = [tenant.id for tenant in self.tenants.all() if tenant.erased_at is not None]
        under_way = self._under_way() if erased else frozenset[TenantId]()
        for tenant_id in erased:
            if tenant_id in under_way:
                continue
            if self.eraser.held(Subject(tenant_id)):
                erasure = self.run(tenant_id, requested_by=_SWEEPER)
                swept += sum(erasure.removed.values())
            else:
                swept += self.files.erase(tenant_id)
        return swept

    def _under_way(self) -> frozenset[TenantId]:
        """The tenants that somebody is erasing, unless it has gone on for so long that it was broken off."""
        begun_since = self.clock.now() - _BROKEN_OFF_AFTER
        return frozenset(
            one.tenant_id
            for one in self.eraser.records()
            if one.entity_proof is None and one.finished_at is None and one.started_at > begun_since
        )

    def _open_record(self, tenant_id: TenantId) -> Erasure | None:
        return next(
            (
                one
                for one in self.eraser.records()
                if one.tenant_id == tenant_id and one.entity_proof is None and one.finished_at is None
            ),
            None,
        )

    def _new_record(self, tenant_id: TenantId, requested_by: str) -> Erasure:
        erasure = Erasure(
            id=self.randomness.new_id(),
            tenant_id=tenant_id,
            entity_proof=None,
            requested_by=requested_by,
            started_at=self.clock.now(),
        )
        self.eraser.begin(erasure)
        return erasure


@dataclass(frozen=True, slots=True)
class EraseEntity:
    """Removes what is held of one entity of a tenant.

    Its source may send it again; then it is a new entity, at version 1. To keep it away, erase it there first.
    """

    eraser: Eraser
    clock: Clock
    randomness: Randomness

    def run(self, subject: Subject, *, requested_by: str) -> tuple[Erasure, str]:
        """Erase an entity.

        Returns:
            The record, and the receipt: with it and the entity's id `Subject.proof` shows that the record is of that
            entity. The receipt is not stored.

        Raises:
            TransientError: the store is out of reach; calling again removes the rest, with a record of its own.
        """
        receipt = self.randomness.new_id()
        erasure = Erasure(
            id=self.randomness.new_id(),
            tenant_id=subject.tenant_id,
            entity_proof=subject.proof(receipt),
            requested_by=requested_by,
            started_at=self.clock.now(),
        )
        self.eraser.begin(erasure)
        empty(self.eraser, subject, erasure.id)
        self.eraser.finish(erasure.id, files=0, now=self.clock.now())
        return _record(self.eraser, erasure.id), receipt


def empty(eraser: Eraser, subject: Subject, erasure_id: str, removed: Removed = _unheard) -> None:
    """Remove all of *subject*, in batches and passes, until a whole pass finds nothing.

    Raises:
        PermanentError: something goes on writing as fast as it is removed.
    """
    for _ in range(_MOST_PASSES):
        found = False
        for part in eraser.parts(subject):
            number = BATCH
            while (
                number == BATCH
            ):  # and not until nothing is left: somebody may still write one row after the other
                number = eraser.remove(subject, part, erasure_id=erasure_id, limit=BATCH)
                found = found or number > 0
                removed(number)
        if not found:
            return
    raise PermanentError(
        f"tenant {subject.tenant_id!r}: rows come back as fast as they are removed: what still writes them?"
    )


def _record(eraser: Eraser, erasure_id: str) -> Erasure:
    return next(one for one in eraser.records() if one.id == erasure_id)
