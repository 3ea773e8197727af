"""The outbox, as part of a unit of work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.message_publisher import Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingLine:
    """A line on its way into a file."""

    tenant_id: TenantId
    name: str
    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An effect that is committed and not yet carried out.

    Args:
        id: grows with the order of the rows of one unit of work.
        effect: what is to be done.
    """

    id: int
    effect: Outgoing | OutgoingLine


class Outbox(Protocol):
    """Effects of one unit of work, committed with it and carried out afterwards."""

    @abstractmethod
    def add(self, effects: Sequence[Outgoing | OutgoingLine], *, now: datetime) -> Sequence[OutboxRow]:
        """Record *effects*.

        Returns:
            The rows to carry out after the commit, and to take off with `OutboxRelaySource.sent`. A store whose
            queues live in the same database has put the messages into their queues already, as part of this unit
            of work, and returns no rows for these.
        """


class OutboxRelaySource(Protocol):
    """The outbox as the relay sees it, across tenants."""

    @abstractmethod
    def claim(self, *, now: datetime, limit: int, lease: timedelta) -> Sequence[OutboxRow]:
        """Up to *limit* rows that are due, oldest first, for nobody else until *now* + *lease*.

        A row is due a while after its unit of work, so that whoever committed it can carry it out first. Of rows
        with the same queue, tenant and ordering key none is claimed while an older one is claimed by another.
        """

    @abstractmethod
    def sent(self, ids: Sequence[int]) -> None:
        """Take off rows whose effects have been carried out."""

    @abstractmethod
    def pending(self) -> int:
        """How many rows wait."""
