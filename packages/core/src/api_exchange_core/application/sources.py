"""What operators do with the extraction of sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from pydantic_core import to_json

from api_exchange_core.domain.checkpoint import Checkpoint, Run
from api_exchange_core.domain.errors import DeclarationError, LostRaceError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.source_name import is_slice, source_of
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory

_DIGITS: Final = 12
_TRIES: Final = 5


class SourceState(StrEnum):
    """Whether anybody is extracting a source."""

    IDLE = "idle"
    RUNNING = "running"
    OVERDUE = "overdue"
    """A run has begun and does not go on: its message was given up, say. The next message that may begin a run takes
    it over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """Where a source stands for a tenant, without anything of its records.

    Args:
        tenant_id: whose.
        source: its name, or the key of a slice.
        state: whether it is being extracted.
        cursor: a digest of where it goes on, and how large that is; None at the beginning.
        watermark: up to when its changes are known.
        lag: for how long nothing newer has been.
        remembered: how many records are known near the watermark.
        runner: id of the message that is to go on.
        leased_until: when another may.
        run: the newest one, with its progress.
        updated_at: when it was written.
        version: how often.
    """

    tenant_id: TenantId
    source: str
    state: SourceState
    cursor: str | None
    watermark: datetime | None
    lag: timedelta | None
    remembered: int
    runner: str | None
    leased_until: datetime | None
    run: Run | None
    updated_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class ReportSources:
    """Tells where sources stand."""

    units: UnitOfWorkFactory
    tenants: TenantDirectory
    clock: Clock

    def report(
        self,
        tenant_id: TenantId | None = None,
        *,
        source: str | None = None,
        finished_slices: bool = False,
    ) -> Sequence[SourceStatus]:
        """By tenant and source.

        Args:
            tenant_id: whose; None for all tenants.
            source: of this one and its slices.
            finished_slices: those of backfills that are done as well.

        Raises:
            TransientError: the store could not be reached.
        """
        whose: Iterable[TenantId] = (
            sorted(tenant.id for tenant in self.tenants.all()) if tenant_id is None else [tenant_id]
        )
        now = self.clock.now()
        return [
            _status(one, checkpoint, now)
            for one in whose
            for checkpoint in self._checkpoints(one)
            if source is None or source_of(checkpoint.source) == source
            if finished_slices or checkpoint.is_running or not is_slice(checkpoint.source)
        ]

    def _checkpoints(self, tenant_id: TenantId) -> Sequence[Checkpoint]:
        with self.units.begin(tenant_id) as unit:
            return unit.checkpoints.all()


@dataclass(frozen=True, slots=True)
class ResetSource:
    """Puts a source back to its beginning."""

    units: UnitOfWorkFactory
    clock: Clock
    observer: Observer

    def reset(self, tenant_id: TenantId, source: str, *, by: str) -> Checkpoint:
        """Forget cursor, watermark and run. Whoever is extracting the source cannot write any more.

        Args:
            tenant_id: whose.
            source: its name, or the key of a slice.
            by: who asks for it, for the log.

        Returns:
            The checkpoint that was.

        Raises:
            DeclarationError: there is no such source.
            TransientError: the store could not be reached; nothing was changed.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._reset(tenant_id, source, by)
            except LostRaceError:
                continue
        return self._reset(tenant_id, source, by)

    def _reset(self, tenant_id: TenantId, source: str, by: str) -> Checkpoint:
        with self.units.begin(tenant_id) as unit:
            stored = known_checkpoint(unit, tenant_id, source)
            unit.checkpoints.write([stored.emptied(now=self.clock.now())])
            unit.commit()
        self.observer.event(
            "source.reset",
            tenant_id=tenant_id,
            source=source,
            by=by,
            version=stored.version,
            cursor=_shape(stored),
            watermark=None if stored.watermark is None else stored.watermark.isoformat(),
        )
        return stored


def known_checkpoint(unit: UnitOfWork, tenant_id: TenantId, source: str) -> Checkpoint:
    """The checkpoint of a source that was extracted before.

    Raises:
        DeclarationError: it never was; names those that were.
    """
    stored = unit.checkpoints.get(source)
    if stored is None:
        known = ", ".join(repr(one.source) for one in unit.checkpoints.all() if not is_slice(one.source))
        raise DeclarationError(
            f"tenant {tenant_id!r} has no source {source!r} that was ever extracted; it has {known or 'none'}"
        )
    return stored


def _status(tenant_id: TenantId, checkpoint: Checkpoint, now: datetime) -> SourceStatus:
    return SourceStatus(
        tenant_id=tenant_id,
        source=checkpoint.source,
        state=_state(checkpoint, now),
        cursor=_shape(checkpoint),
        watermark=checkpoint.watermark,
        lag=None if checkpoint.watermark is None else now - checkpoint.watermark,
        remembered=len(checkpoint.seen),
        runner=checkpoint.runner,
        leased_until=checkpoint.leased_until,
        run=checkpoint.run,
        updated_at=checkpoint.updated_at,
        version=checkpoint.version,
    )


def _state(checkpoint: Checkpoint, now: datetime) -> SourceState:
    if not checkpoint.is_running:
        return SourceState.IDLE
    late = checkpoint.leased_until is None or checkpoint.leased_until <= now
    return SourceState.OVERDUE if late else SourceState.RUNNING


def _shape(checkpoint: Checkpoint) -> str | None:
    """Tells cursors apart without showing one: it may hold what nobody is to read in a terminal or a log."""
    if checkpoint.cursor is None:
        return None
    written = to_json(checkpoint.cursor)
    return f"{sha256(written).hexdigest()[:_DIGITS]} ({len(written):,} bytes)"
