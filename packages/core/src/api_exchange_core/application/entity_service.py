"""Entities outside of functions: read them, and persist them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api_exchange_core.application.flush import new_version
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityReference, EntityVersion, Persisted
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.intentions import Intentions
from api_exchange_core.domain.names import EntityId
from api_exchange_core.domain.tenant import current_tenant
from api_exchange_core.domain.versioning import Versioning
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.entity_store import SuspectedDuplicate
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

_TRIES = 5


@dataclass(frozen=True, slots=True)
class EntityService:
    """The entities of the current tenant; use it within `tenant_context`."""

    units: UnitOfWorkFactory
    hasher: ContentHasher
    clock: Clock

    def create_entity(
        self, *, external_id: str, canonical_type: str, source: str, data: object
    ) -> EntityReference:
        """Record an entity and return its reference; one that exists gets a new version if its content differs.

        Raises:
            TenantError: no tenant.
            UnrepresentableError: the data has no JSON form, or a part of the key cannot be stored.
            TransientError: nothing was written.
        """
        return self.persist(
            external_id=external_id, canonical_type=canonical_type, source=source, data=data
        ).reference

    def persist(
        self,
        *,
        external_id: str,
        canonical_type: str,
        source: str,
        data: object,
        expected_version: int | None = None,
        source_version: int | None = None,
    ) -> Persisted:
        """Record an entity's content as it is now, and say what came of it.

        Raises:
            TenantError: no tenant.
            UnrepresentableError: the data has no JSON form, or a part of the key cannot be stored.
            TransientError: nothing was written.
        """
        intentions = Intentions(current_tenant(), self.hasher, lambda _: None, self.clock.now())
        intentions.persist(
            external_id=external_id,
            canonical_type=canonical_type,
            source=source,
            data=data,
            expected_version=expected_version,
            source_version=source_version,
        )
        for _ in range(_TRIES - 1):
            try:
                return self._write(intentions, lock=False)
            except LostRaceError:
                continue
        return self._write(intentions, lock=True)

    def head(self, *, external_id: str, canonical_type: str, source: str) -> EntityHead | None:
        """The current state of an entity; None if there is none."""
        id_ = EntityKey(current_tenant(), canonical_type, source, external_id).id
        with self.units.begin(current_tenant()) as unit:
            return unit.entities.heads([id_]).get(id_)

    def history(self, entity_id: EntityId) -> Sequence[EntityVersion]:
        """The versions of an entity, oldest first."""
        with self.units.begin(current_tenant()) as unit:
            return unit.entities.versions(entity_id)

    def count(self, *, canonical_type: str | None = None) -> int:
        """How many entities the tenant has, of one type or of all."""
        with self.units.begin(current_tenant()) as unit:
            return unit.entities.count(canonical_type=canonical_type)

    def suspected_duplicates(self, *, canonical_type: str, limit: int = 100) -> Sequence[SuspectedDuplicate]:
        """Entities whose content equals that of an older one with another external id."""
        with self.units.begin(current_tenant()) as unit:
            return unit.entities.suspected_duplicates(canonical_type=canonical_type, limit=limit)

    def _write(self, intentions: Intentions, *, lock: bool) -> Persisted:
        (change,) = intentions.changes
        with self.units.begin(intentions.tenant_id) as unit:
            counted = change.source_version is not None
            versioning = Versioning(unit.entities.heads([change.id], lock=lock or counted), intentions.now)
            persisted = versioning.apply(change)
            if versioning.writes:
                versions = (
                    [new_version(persisted, hasher=self.hasher, now=intentions.now, message=None)]
                    if persisted.outcome.wrote_version
                    else []
                )
                unit.entities.write(versioning.writes, versions)
                unit.commit()
        return persisted
