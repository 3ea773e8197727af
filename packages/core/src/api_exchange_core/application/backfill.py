"""Having the past of a source extracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.application.sources import known_checkpoint
from api_exchange_core.domain.checkpoint import Assignment
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.errors import DeclarationError, TenantError
from api_exchange_core.domain.identity import derived_message_id
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import QueueName, TenantId, queue_name
from api_exchange_core.domain.source_name import Window, slice_key, slices, source_name
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory

SLICE_TYPE: Final = "api-exchange.slice"
MAX_SLICES: Final = 10_000
"""Most slices of one backfill: they are ordered in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Slices of a source's past that were ordered.

    Args:
        id: by which the same order is the same messages, should it be given again.
        queue: where they went.
        slices: the keys of their checkpoints, in order.
    """

    id: str
    queue: QueueName
    slices: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OrderBackfill:
    """Has a part of a source's past extracted, slice by slice, beside what is extracted as it happens."""

    units: UnitOfWorkFactory
    tenants: TenantDirectory
    clock: Clock
    randomness: Randomness

    def order(
        self,
        tenant_id: TenantId,
        source: str,
        window: Window,
        *,
        length: timedelta,
        queue: str | None = None,
        id_: str | None = None,
    ) -> Backfill:
        """Put a message for each slice into the queue of the source's function, all or none.

        Args:
            tenant_id: whose.
            source: its name.
            window: closed at both ends.
            length: of a slice.
            queue: where the source's function reads; where the last run was, if not given.
            id_: of an order that is given again; what was extracted for it is not extracted twice.

        Raises:
            TenantError: the tenant is unknown, or not worked for.
            DeclarationError: the source has never run and *queue* is not given, or there would be too many slices.
            TransientError: the store could not be reached; nothing was ordered.
        """
        found = self.tenants.get(tenant_id)
        if found is None or not found.enabled:
            raise TenantError(
                f"tenant {tenant_id!r} is unknown or disabled: what is sent for it would not be done"
            )
        parts = slices(window, length, most=MAX_SLICES)
        keys = [slice_key(source_name(source), *_ends(part)) for part in parts]
        order = self.randomness.new_id() if id_ is None else id_
        with self.units.begin(tenant_id) as unit:
            to = queue_name(queue) if queue is not None else _queue_of(unit, tenant_id, source)
            messages = [
                self._message(tenant_id, to, order, key, part) for key, part in zip(keys, parts, strict=True)
            ]
            unit.outbox.add(messages, now=self.clock.now())
            unit.commit()
        return Backfill(id=order, queue=to, slices=keys)

    def _message(self, tenant_id: TenantId, queue: QueueName, order: str, key: str, part: Window) -> Outgoing:
        message_id = derived_message_id("backfill", tenant_id, queue, order, key)
        since, until = _ends(part)
        message = Message(
            id=message_id,
            tenant_id=tenant_id,
            source="/api-exchange/backfill",
            type=SLICE_TYPE,
            payload={"since": since.isoformat(), "until": until.isoformat()},
            time=self.clock.now(),
            correlation_id=message_id,
            metadata=Assignment(key).metadata,
        )
        return Outgoing(queue=queue, tenant_id=tenant_id, message_id=message_id, body=encode(message))


def _ends(window: Window) -> tuple[datetime, datetime]:
    if window.since is None or window.until is None:
        raise DeclarationError(f"{window} is open: a slice has a beginning and an end")
    return window.since, window.until


def _queue_of(unit: UnitOfWork, tenant_id: TenantId, source: str) -> QueueName:
    run = known_checkpoint(unit, tenant_id, source).run
    if run is None:
        raise DeclarationError(
            f"source {source!r} of tenant {tenant_id!r} has had no run that says where its function reads: name its "
            "queue with --queue (a timer's or HTTP function's is called like itself)"
        )
    return QueueName(run.queue)
