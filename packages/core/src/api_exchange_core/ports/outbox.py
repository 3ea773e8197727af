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
        attempts: how often it was postponed.
    """

    id: int
    effect: Outgoing | OutgoingLine
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBacklog:
    """How much waits in the outbox, and for how long: what to watch a relay by.

    Args:
        waiting: rows, of any kind.
        stuck: those of them that have been postponed: somebody has to see to them.
        lag: for how long the oldest row that has never been postponed has been due; None if none is due.
    """

    waiting: int
    stuck: int
    lag: timedelta | None


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
        with the same queue, tenant and ordering key none is claimed while an older one is claimed by another, or not
        due yet. A row that was postponed has lost its place: later ones of its key do not wait for it.
        """

    @abstractmethod
    def sent(self, ids: Sequence[int]) -> None:
        """Take off rows whose effects have been carried out."""

    @abstractmethod
    def postpone(self, ids: Sequence[int], *, until: datetime) -> None:
        """Give up the claim to rows that cannot be sent, and let nobody claim them before *until*."""

    @abstractmethod
    def backlog(self, *, now: datetime) -> OutboxBacklog:
        """What waits, across tenants."""

    @abstractmethod
    def pending(self) -> int:
        """How many rows wait."""
