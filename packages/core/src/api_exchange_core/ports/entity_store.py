"""Entities, as part of a unit of work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.names import EntityId
from api_exchange_core.domain.versioning import HeadWrite


@dataclass(frozen=True, slots=True)
class SuspectedDuplicate:
    """An entity whose content equals that of an entity with another external id, which was there before."""

    key: EntityKey
    first: EntityKey


class EntityStore(Protocol):
    """Heads and versions of the entities of one tenant."""

    @abstractmethod
    def heads(self, ids: Sequence[EntityId], *, lock: bool = False) -> Mapping[EntityId, EntityHead]:
        """The heads of those entities that exist.

        Args:
            ids: which entities.
            lock: keep other writers from changing them until this unit of work ends.
        """

    @abstractmethod
    def write(self, heads: Sequence[HeadWrite], versions: Sequence[EntityVersion]) -> None:
        """Write *heads*, one an entity, and append *versions*.

        Raises:
            LostRaceError: a stored head is not at the version it was to replace; this unit of work cannot commit.
        """

    @abstractmethod
    def versions(self, entity_id: EntityId) -> Sequence[EntityVersion]:
        """The history of an entity, oldest first; empty if there is no such entity."""

    @abstractmethod
    def count(self, *, canonical_type: str | None = None) -> int:
        """How many entities the tenant has, of one type or of all."""

    @abstractmethod
    def suspected_duplicates(self, *, canonical_type: str, limit: int = 100) -> Sequence[SuspectedDuplicate]:
        """Entities of a type whose content equals an older entity's of the same type and source.

        Ordered by external id; at most *limit*.
        """
