"""What happened to entities, for people: across tenants, and after the fact."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from api_exchange_core.domain.entity import EntityHead, EntityVersion
from api_exchange_core.domain.names import EntityId, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFilter:
    """Which entities, by the external id that their source gave them. What is None lets all pass."""

    external_id: str
    tenant_id: TenantId | None = None
    canonical_type: str | None = None
    source: str | None = None


class EntityReports(Protocol):
    """Reads entities and their histories, of all tenants."""

    @abstractmethod
    def with_id(self, entity_id: str) -> EntityHead | None:
        """The entity with this id; an id is one tenant's, since it follows from the tenant as well."""

    @abstractmethod
    def with_external_id(self, wanted: EntityFilter, *, limit: int = 100) -> Sequence[EntityHead]:
        """The entities with an external id, by tenant, type and source."""

    @abstractmethod
    def history(
        self, entity_id: EntityId, *, tenant_id: TenantId, limit: int, before: int | None = None
    ) -> Sequence[EntityVersion]:
        """An entity's versions, the newest first.

        Args:
            entity_id: which.
            tenant_id: whose.
            limit: at most so many.
            before: only those below this version.
        """

    @abstractmethod
    def version(self, entity_id: EntityId, version: int, *, tenant_id: TenantId) -> EntityVersion | None:
        """One version of an entity; None if there is no such version."""
