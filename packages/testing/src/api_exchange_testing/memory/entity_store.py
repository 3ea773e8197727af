"""Entities in memory, as part of a unit of work."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from typing_extensions import override

from api_exchange_core.domain.entity import EntityHead, EntityVersion
from api_exchange_core.domain.errors import LostRaceError, TenantError
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.entity_store import EntityStore, SuspectedDuplicate

_PATIENCE = 10.0
"""Real seconds that a writer waits for a lock, after which it counts as a deadlock."""


@dataclass(slots=True)
class EntityRows:
    """The committed entities of one tenant, and who has locked which."""

    heads: dict[EntityId, EntityHead] = field(default_factory=dict)
    versions: dict[EntityId, tuple[EntityVersion, ...]] = field(default_factory=dict)
    locks: dict[EntityId, object] = field(default_factory=dict)


class InMemoryEntityStore(EntityStore):
    """What is committed, with the writes of one unit of work over it.

    Args:
        rows: the tenant's committed rows.
        tenant_id: whose they are.
        changed: guards *rows*; notified when a unit of work has ended.
    """

    def __init__(self, rows: EntityRows, tenant_id: TenantId, changed: threading.Condition) -> None:
        self._rows = rows
        self._tenant_id = tenant_id
        self._changed = changed
        self._heads: dict[EntityId, EntityHead] = {}
        self._replaced: dict[EntityId, int] = {}
        self._versions: list[EntityVersion] = []
        self._lost: LostRaceError | None = None

    @override
    def heads(self, ids: Sequence[EntityId], *, lock: bool = False) -> Mapping[EntityId, EntityHead]:
        with self._changed:
            if lock:
                self._wait_until_free(ids)
                self._rows.locks.update(dict.fromkeys(ids, self))
            found = {id_: self._head(id_) for id_ in ids}
            return {id_: head for id_, head in found.items() if head is not None}

    @override
    def write(self, heads: Sequence[HeadWrite], versions: Sequence[EntityVersion]) -> None:
        for write in heads:
            self._check_tenant(write.head)
        with self._changed:
            for write in heads:
                self._check_replaces(write.head.id, write.replaces, self._head(write.head.id))
        for write in heads:
            self._replaced.setdefault(write.head.id, write.replaces)
            self._heads[write.head.id] = write.head
        self._versions += [_copied(version) for version in versions]

    @override
    def versions(self, entity_id: EntityId) -> Sequence[EntityVersion]:
        with self._changed:
            staged = [version for version in self._versions if version.entity_id == entity_id]
            return [_copied(version) for version in (*self._rows.versions.get(entity_id, ()), *staged)]

    @override
    def count(self, *, canonical_type: str | None = None) -> int:
        with self._changed:
            return sum(canonical_type in (None, head.key.canonical_type) for head in self._current().values())

    @override
    def suspected_duplicates(self, *, canonical_type: str, limit: int = 100) -> Sequence[SuspectedDuplicate]:
        with self._changed:
            heads = [head for head in self._current().values() if head.key.canonical_type == canonical_type]
            heads.sort(key=lambda head: (self.versions(head.id)[0].created_at, head.key.external_id))
        oldest: dict[tuple[str, str], EntityHead] = {}
        suspected = []
        for head in heads:
            first = oldest.setdefault((head.key.source, head.content_hash), head)
            if first is not head:
                suspected.append(SuspectedDuplicate(head.key, first.key))
        return sorted(suspected, key=lambda one: one.key.external_id)[:limit]

    def check(self) -> None:
        """Return if what is to be written can be committed; to be called with the store's lock held.

        Raises:
            LostRaceError: another unit of work was first.
        """
        if self._lost is not None:
            raise LostRaceError("a write of this unit of work was refused: roll it back") from self._lost
        self._wait_until_free(self._heads)
        for id_, replaced in self._replaced.items():
            self._check_replaces(id_, replaced, self._rows.heads.get(id_))

    def apply(self) -> None:
        """Commit what `check` has let through, under the same hold of the lock."""
        self._rows.heads.update(self._heads)
        for version in self._versions:
            earlier = self._rows.versions.get(version.entity_id, ())
            self._rows.versions[version.entity_id] = (*earlier, version)

    def release(self) -> None:
        """Let others write what this unit of work has locked."""
        if self._rows.locks:
            self._rows.locks = {id_: owner for id_, owner in self._rows.locks.items() if owner is not self}

    def _head(self, id_: EntityId) -> EntityHead | None:
        return self._heads.get(id_, self._rows.heads.get(id_))

    def _current(self) -> dict[EntityId, EntityHead]:
        return {**self._rows.heads, **self._heads}

    def _check_tenant(self, head: EntityHead) -> None:
        if head.key.tenant_id != self._tenant_id:
            raise TenantError(f"an entity of {head.key.tenant_id!r} in a unit of work of {self._tenant_id!r}")

    def _check_replaces(self, id_: EntityId, replaced: int, stored: EntityHead | None) -> None:
        version = 0 if stored is None else stored.version
        if version != replaced:
            self._lost = LostRaceError(
                f"entity {id_!r} was to be written on version {replaced} and is at {version}"
            )
            raise self._lost

    def _wait_until_free(self, ids: Collection[EntityId]) -> None:
        def free() -> bool:
            return all(self._rows.locks.get(id_, self) is self for id_ in ids)

        if not self._changed.wait_for(free, timeout=_PATIENCE):
            raise LostRaceError(
                f"another unit of work kept entities locked for {_PATIENCE} s: a deadlock, or one left open"
            )


def _copied(version: EntityVersion) -> EntityVersion:
    """The row with a dictionary of its own: nobody who holds one can change the other."""
    return replace(version, field_hashes=dict(version.field_hashes))
