"""Entities and their histories in tables, across tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, RowMapping, select
from typing_extensions import override

from api_exchange_core.adapters.sql import across_tenants
from api_exchange_core.adapters.sql.entity_store import look_up_heads
from api_exchange_core.adapters.sql.id_search import ID, kinds_of_entities, tenants_with
from api_exchange_core.adapters.sql.report_scope import reading
from api_exchange_core.adapters.sql.schema import entities, entity_versions
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.ports.entity_reports import EntityFilter, EntityReports


@dataclass(frozen=True, slots=True)
class SqlEntityReports(EntityReports):
    """Reads heads and versions.

    An external id is found without an index of its own: an entity's id follows from its key, so it is worked out for
    every type and source that there is, and these ids are looked up.

    Args:
        engine: of the database.
    """

    engine: Engine

    @override
    def with_id(self, entity_id: str) -> EntityHead | None:
        asked = tenants_with(entities.c.id, None, tenant=entities.c.tenant_id)
        with across_tenants.reading(self.engine) as connection:
            for row in connection.execute(asked, {ID: entity_id}).all():
                if row.found is not None:
                    return look_up_heads(connection, [entity_id], tenant_id=row.tenant_id)[0]
        return None

    @override
    def with_external_id(self, wanted: EntityFilter, *, limit: int = 100) -> Sequence[EntityHead]:
        with across_tenants.reading(self.engine) as connection:
            ids: dict[TenantId, list[str]] = {}
            for kind in connection.execute(kinds_of_entities(wanted.tenant_id)):
                if wanted.canonical_type in (None, kind.canonical_type) and wanted.source in (
                    None,
                    kind.source,
                ):
                    key = EntityKey(kind.tenant_id, kind.canonical_type, kind.source, wanted.external_id)
                    ids.setdefault(kind.tenant_id, []).append(key.id)
            found = [
                head
                for tenant, own in ids.items()
                for head in look_up_heads(connection, own, tenant_id=tenant)
            ]
        return sorted(found, key=lambda head: (head.key.tenant_id, head.key.canonical_type, head.key.source))[
            :limit
        ]

    @override
    def history(
        self, entity_id: EntityId, *, tenant_id: TenantId, limit: int, before: int | None = None
    ) -> Sequence[EntityVersion]:
        wanted = _versions(entity_id, tenant_id).order_by(entity_versions.c.version.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(entity_versions.c.version < before)
        with reading(self.engine, tenant_id) as connection:
            return [_version(row) for row in connection.execute(wanted).mappings()]

    @override
    def version(self, entity_id: EntityId, version: int, *, tenant_id: TenantId) -> EntityVersion | None:
        wanted = _versions(entity_id, tenant_id).where(entity_versions.c.version == version)
        with reading(self.engine, tenant_id) as connection:
            row = connection.execute(wanted).mappings().one_or_none()
        return None if row is None else _version(row)


def _versions(entity_id: EntityId, tenant_id: TenantId) -> Any:
    return select(entity_versions).where(
        entity_versions.c.tenant_id == tenant_id, entity_versions.c.entity_id == entity_id
    )


def _version(row: RowMapping) -> EntityVersion:
    return EntityVersion(**{name: value for name, value in row.items() if name != "tenant_id"})
