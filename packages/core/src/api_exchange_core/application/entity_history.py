"""What happened to an entity: its versions, and in which fields they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from api_exchange_core.domain.entity import EntityHead, EntityVersion
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.field_changes import FieldChanges
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.entity_reports import EntityFilter, EntityReports


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedChange:
    """A version of an entity.

    Args:
        version: as it was recorded.
        changes: against the version before it; None for the first, and where that one was not read.
    """

    version: EntityVersion
    changes: FieldChanges | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An entity with its newest versions, the newest first."""

    entity: EntityHead
    versions: Sequence[DatedChange]


@dataclass(frozen=True, slots=True)
class EntityHistory:
    """Finds entities by id or external id."""

    entities: EntityReports

    def histories(self, id_: str, *, tenant_id: TenantId | None = None, limit: int = 50) -> Sequence[History]:
        """The entities that *id_* names, each with at most *limit* versions."""
        return [self._history(head, limit) for head in self._found(id_, tenant_id)]

    def difference(
        self, id_: str, first: int, second: int, *, tenant_id: TenantId | None = None
    ) -> FieldChanges:
        """The fields in which two versions of an entity differ.

        Raises:
            PermanentError: *id_* names no entity, or several, or there is no such version; says which there are.
        """
        found = self._found(id_, tenant_id)
        if len(found) != 1:
            raise PermanentError(_which(id_, found))
        (head,) = found
        old, new = self._version(head, first), self._version(head, second)
        return FieldChanges.between(old, new)

    def _found(self, id_: str, tenant_id: TenantId | None) -> Sequence[EntityHead]:
        head = self.entities.with_id(id_)
        if head is None:
            return self.entities.with_external_id(EntityFilter(external_id=id_, tenant_id=tenant_id))
        return [head] if tenant_id in (None, head.key.tenant_id) else []

    def _history(self, head: EntityHead, limit: int) -> History:
        # One more than is shown, to compare the last one with.
        versions = self.entities.history(head.id, tenant_id=head.key.tenant_id, limit=limit + 1)
        compared = [
            DatedChange(version=new, changes=FieldChanges.between(old, new))
            for new, old in pairwise(versions)
        ]
        if 0 < len(versions) <= limit:
            compared.append(DatedChange(version=versions[-1], changes=None))
        return History(entity=head, versions=compared)

    def _version(self, head: EntityHead, number: int) -> EntityVersion:
        version = self.entities.version(head.id, number, tenant_id=head.key.tenant_id)
        if version is None:
            raise PermanentError(
                f"entity {head.key.external_id!r} has no version {number}: it has 1 to {head.version}"
            )
        return version


def _which(id_: str, found: Sequence[EntityHead]) -> str:
    if not found:
        return f"there is no entity with the id or external id {id_!r}"
    choices = "; ".join(
        f"{head.id} ({head.key.canonical_type} of {head.key.source} for {head.key.tenant_id})"
        for head in found
    )
    return f"{id_!r} is the external id of {len(found)} entities; name one by its id: {choices}"
