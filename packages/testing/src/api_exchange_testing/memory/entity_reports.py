"""Entities of an `InMemoryStore` and their histories, across tenants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from typing_extensions import override

from api_exchange_core.domain.entity import EntityHead, EntityVersion
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.ports.entity_reports import EntityFilter, EntityReports
from api_exchange_testing.memory.unit_of_work import InMemoryStore


class InMemoryEntityReports(EntityReports):
    """Reads the committed heads and versions.

    Args:
        store: whose.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    def with_id(self, entity_id: str) -> EntityHead | None:
        return next((head for head in self._heads(None) if head.id == entity_id), None)

    @override
    def with_external_id(self, wanted: EntityFilter, *, limit: int = 100) -> Sequence[EntityHead]:
        found = [
            head
            for head in self._heads(wanted.tenant_id)
            if head.key.external_id == wanted.external_id
            and wanted.canonical_type in (None, head.key.canonical_type)
            and wanted.source in (None, head.key.source)
        ]
        return sorted(found, key=lambda head: (head.key.tenant_id, head.key.canonical_type, head.key.source))[
            :limit
        ]

    @override
    def history(
        self, entity_id: EntityId, *, tenant_id: TenantId, limit: int, before: int | None = None
    ) -> Sequence[EntityVersion]:
        with self._store.changed:
            versions = self._store.of(tenant_id).entities.versions.get(entity_id, ())
        wanted = [one for one in reversed(versions) if before is None or one.version < before]
        return [replace(one, field_hashes=dict(one.field_hashes)) for one in wanted[:limit]]

    @override
    def version(self, entity_id: EntityId, version: int, *, tenant_id: TenantId) -> EntityVersion | None:
        found = self.history(entity_id, tenant_id=tenant_id, limit=1, before=version + 1)
        return next((one for one in found if one.version == version), None)

    def _heads(self, tenant_id: TenantId | None) -> Iterator[EntityHead]:
        with self._store.changed:
            rows = self._store.by_tenant(tenant_id).values()
            yield from [head for own in rows for head in own.entities.heads.values()]
