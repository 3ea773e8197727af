"""Removing what a store holds of a tenant or an entity."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.entity import EntityKey
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.names import TenantId


class Eraser(Protocol):
    """Removes rows for good, and keeps the records of it.

    Of a tenant that is everything but its id in the directory. Of an entity it is its head and versions, the journal
    and errors of messages about it, and these messages themselves, in the store's queues, dead letters and outbox.
    Messages go first: work that is under way with one of them cannot be committed any more, or is committed by then
    and removed with the rest.
    """

    @abstractmethod
    def named(self, tenant_id: TenantId, *, external_id: str) -> Sequence[EntityKey]:
        """The tenant's entities with that external id, of any type and source."""

    @abstractmethod
    def held(self, subject: Subject) -> Mapping[str, int]:
        """How many rows of each table there are of *subject*; tables without any are left out."""

    @abstractmethod
    def parts(self, subject: Subject) -> Sequence[str]:
        """The tables that may hold rows of *subject*, in the order in which they are to be emptied."""

    @abstractmethod
    def begin(self, erasure: Erasure) -> None:
        """Keep a new record."""

    @abstractmethod
    def remove(self, subject: Subject, part: str, *, erasure_id: str, limit: int) -> int:
        """Remove at most *limit* rows of *subject* from one part and count them in the record, in one transaction.

        Returns:
            How many were removed; 0 when there is nothing left in that part.

        Raises:
            TransientError: nothing was removed, or it is unknown whether it was; calling again is safe.
        """

    @abstractmethod
    def count(self, erasure_id: str, part: str, number: int) -> None:
        """Add to the record what was removed from a place that is not in this store.

        Raises:
            TransientError: it is unknown whether it was added.
        """

    @abstractmethod
    def finish(self, erasure_id: str, *, files: int, now: datetime) -> None:
        """Note in the record that all is gone, *files* of output included."""

    @abstractmethod
    def records(self) -> Sequence[Erasure]:
        """All records, oldest first."""


class HeldApart(Protocol):
    """What is held of tenants in another place than everything else, and so has to be erased apart."""

    @abstractmethod
    def held(self, tenant_id: TenantId) -> int:
        """How much is held of a tenant, in rows, items or objects.

        Raises:
            TransientError: the place could not be reached.
        """

    @abstractmethod
    def erase(self, tenant_id: TenantId, *, limit: int) -> int:
        """Remove up to *limit* of what is held of a tenant, whatever it is; how much that was, and 0 if none is left.

        Raises:
            TransientError: some may be left; calling again removes it.
        """
