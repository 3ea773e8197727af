"""One transaction of one tenant."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.checkpoints import Checkpoints
from api_exchange_core.ports.entity_store import EntityStore
from api_exchange_core.ports.error_log import ErrorLog
from api_exchange_core.ports.journal import Journal
from api_exchange_core.ports.outbox import Outbox


class UnitOfWork(Protocol):
    """What its parts write is committed together or not at all.

    Used as a context manager's value; leaving the block without `commit` rolls back. Serves one thread.
    """

    @property
    @abstractmethod
    def entities(self) -> EntityStore:
        """The tenant's entities."""

    @property
    @abstractmethod
    def journal(self) -> Journal:
        """What was processed for the tenant."""

    @property
    @abstractmethod
    def outbox(self) -> Outbox:
        """Effects to carry out after the commit."""

    @property
    @abstractmethod
    def errors(self) -> ErrorLog:
        """The tenant's failed attempts."""

    @property
    @abstractmethod
    def checkpoints(self) -> Checkpoints:
        """How far the extractions of the tenant have come."""

    @abstractmethod
    def acknowledge(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Complete deliveries as part of this transaction, if their queue lives in this store.

        Returns:
            Those that it could not take charge of, to be settled after the commit.

        Raises:
            ClaimLostError: a delivery's time ran out and it may be somebody else's; this unit of work cannot commit.
        """

    @abstractmethod
    def commit(self) -> None:
        """Make all of it durable.

        Raises:
            LostRaceError: the database gave another transaction the way; nothing was written.
            TransientError: nothing was written, or it is unknown whether it was; doing all of it again is safe.
        """


class UnitOfWorkFactory(Protocol):
    """Begins units of work."""

    @abstractmethod
    def begin(self, tenant_id: TenantId) -> AbstractContextManager[UnitOfWork]:
        """A unit of work of one tenant, which sees and writes this tenant's rows only.

        Raises:
            TransientError: the store could not be reached.
        """
