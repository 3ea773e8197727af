"""Deciding what becomes of messages that wait for an operator."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import JournalEntry
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class HeldMessages:
    """The messages of exclusive functions whose last run came to no end.

    A held message stays in its queue and looks every minute whether somebody has decided; what is decided here takes
    effect then.
    """

    units: UnitOfWorkFactory

    def waiting(self, tenant_id: TenantId, *, limit: int = 100) -> Sequence[JournalEntry]:
        """The held messages of a tenant, longest first.

        Raises:
            TransientError: the store could not be reached.
        """
        with self.units.begin(tenant_id) as unit:
            return unit.journal.held(limit=limit)

    def release(
        self, tenant_id: TenantId, function: FunctionName, message_ids: Collection[MessageId]
    ) -> frozenset[MessageId]:
        """Let messages run again that are held, or were given up and are to be replayed.

        Returns:
            Those that were held or given up.

        Raises:
            TransientError: nothing was decided.
        """
        with self.units.begin(tenant_id) as unit:
            released = unit.journal.release(function, message_ids)
            unit.commit()
        return released

    def give_up(
        self, tenant_id: TenantId, function: FunctionName, message_ids: Collection[MessageId]
    ) -> frozenset[MessageId]:
        """Have held messages dead-lettered.

        Returns:
            Those that were held.

        Raises:
            TransientError: nothing was decided.
        """
        with self.units.begin(tenant_id) as unit:
            given_up = unit.journal.give_up(function, message_ids)
            unit.commit()
        return given_up
