"""Heads and versions of entities in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.look_up import LookUp
from api_exchange_core.adapters.sql.many_rows import ForEachRow, InsertRows
from api_exchange_core.adapters.sql.schema import entities, entity_versions
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.errors import LostRaceError, PermanentError, TenantError
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.entity_store import EntityStore, SuspectedDuplicate

_LARGEST: Final = 2**63 - 1

_HEAD = (
    entities.c.id,
    entities.c.canonical_type,
    entities.c.source,
    entities.c.external_id,
    entities.c.version,
    entities.c.content_hash,
    entities.c.source_version,
    entities.c.updated_at,
)
_OWN = (entities.c.tenant_id == bindparam("tenant_id"),)
_HEADS = LookUp(_HEAD, key=entities.c.id, where=_OWN)
_HEADS_LOCKED = LookUp(_HEAD, key=entities.c.id, where=_OWN, lock=True)

_CREATE = InsertRows(entities, lambda insert: insert.on_conflict_do_nothing())

_CHANGING = ("version", "content_hash", "source_version", "updated_at")
_REPLACE = ForEachRow(
    {name: entities.c[name].type for name in ("tenant_id", "id", *_CHANGING)}
    | {"replaces": entities.c.version.type},
    lambda row: (
        update(entities)
        .where(
            entities.c.tenant_id == row["tenant_id"],
            entities.c.id == row["id"],
            entities.c.version == row["replaces"],
        )
        .values({name: row[name] for name in _CHANGING})
    ),
)

_APPEND = InsertRows(entity_versions, lambda insert: insert.on_conflict_do_nothing())


class SqlEntityStore(EntityStore):
    """The entities of a transaction's tenant.

    A head is only written over the version that it replaces, and a version only where there is none, so of two
    writers that have read the same the second finds fewer rows than it wants to write, whatever the isolation level.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    def heads(self, ids: Sequence[EntityId], *, lock: bool = False) -> Mapping[EntityId, EntityHead]:
        with self._transaction.writing() if lock else self._transaction.reading() as connection:
            heads = look_up_heads(connection, ids, tenant_id=self._transaction.tenant_id, lock=lock)
        return {head.id: head for head in heads}

    @override
    def write(self, heads: Sequence[HeadWrite], versions: Sequence[EntityVersion]) -> None:
        created = [self._new_row(write.head) for write in heads if write.replaces == 0]
        changed = [self._changed_row(write) for write in heads if write.replaces != 0]
        with self._transaction.writing() as connection:
            if created:
                _expect(len(created), _CREATE.run(connection, created), "new heads")
            if changed:
                _expect(len(changed), _REPLACE.run(connection, changed), "changed heads")
            if versions:
                rows = [self._version_row(version) for version in versions]
                _expect(len(rows), _APPEND.run(connection, rows), "versions")

    @override
    def versions(self, entity_id: EntityId) -> Sequence[EntityVersion]:
        wanted = (
            select(entity_versions)
            .where(
                entity_versions.c.tenant_id == self._transaction.tenant_id,
                entity_versions.c.entity_id == entity_id,
            )
            .order_by(entity_versions.c.version)
        )
        with self._transaction.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
        return [
            EntityVersion(**{name: value for name, value in row.items() if name != "tenant_id"})
            for row in rows
        ]

    @override
    def count(self, *, canonical_type: str | None = None) -> int:
        counted = (
            select(func.count())
            .select_from(entities)
            .where(entities.c.tenant_id == self._transaction.tenant_id)
        )
        if canonical_type is not None:
            counted = counted.where(entities.c.canonical_type == canonical_type)
        with self._transaction.reading() as connection:
            return connection.execute(counted).scalar_one()

    @override
    def suspected_duplicates(self, *, canonical_type: str, limit: int = 100) -> Sequence[SuspectedDuplicate]:
        first = (
            func.first_value(entities.c.external_id)
            .over(
                partition_by=(entities.c.source, entities.c.content_hash),
                order_by=(entities.c.created_at, entities.c.external_id),
            )
            .label("first")
        )
        alike = (
            select(entities.c.source, entities.c.external_id, first)
            .where(
                entities.c.tenant_id == self._transaction.tenant_id,
                entities.c.canonical_type == canonical_type,
            )
            .subquery()
        )
        later = (
            select(alike)
            .where(alike.c.external_id != alike.c.first)
            .order_by(alike.c.external_id)
            .limit(limit)
        )
        with self._transaction.reading() as connection:
            rows = connection.execute(later).all()
        tenant_id = self._transaction.tenant_id
        return [
            SuspectedDuplicate(
                key=EntityKey(tenant_id, canonical_type, row.source, row.external_id),
                first=EntityKey(tenant_id, canonical_type, row.source, row.first),
            )
            for row in rows
        ]

    def _new_row(self, head: EntityHead) -> dict[str, object]:
        key = head.key
        if key.tenant_id != self._transaction.tenant_id:
            raise TenantError(
                f"an entity of tenant {key.tenant_id!r} in a unit of work of {self._transaction.tenant_id!r}"
            )
        return {
            "tenant_id": key.tenant_id,
            "id": head.id,
            "canonical_type": key.canonical_type,
            "source": key.source,
            "external_id": key.external_id,
            "version": head.version,
            "content_hash": head.content_hash,
            "source_version": _storable(head.source_version),
            "created_at": head.updated_at,
            "updated_at": head.updated_at,
        }

    def _changed_row(self, write: HeadWrite) -> dict[str, object]:
        row = self._new_row(write.head)
        return {name: row[name] for name in ("tenant_id", "id", *_CHANGING)} | {"replaces": write.replaces}

    def _version_row(self, version: EntityVersion) -> dict[str, object]:
        return {
            "tenant_id": self._transaction.tenant_id,
            "entity_id": version.entity_id,
            "version": version.version,
            "content_hash": version.content_hash,
            "field_hashes": version.field_hashes,
            "message_id": version.message_id,
            "correlation_id": version.correlation_id,
            "operation": version.operation,
            "created_at": version.created_at,
        }


def look_up_heads(
    connection: Connection, ids: Sequence[str], *, tenant_id: TenantId, lock: bool = False
) -> Sequence[EntityHead]:
    """The heads of those of a tenant's entities that exist."""
    rows = (_HEADS_LOCKED if lock else _HEADS).run(connection, ids, tenant_id=tenant_id)
    return [_head(row, tenant_id) for row in rows]


def _head(row: Row[*tuple[Any, ...]], tenant_id: TenantId) -> EntityHead:
    id_, canonical_type, source, external_id, version, content_hash, source_version, updated_at = row
    return EntityHead(
        key=EntityKey(tenant_id, canonical_type, source, external_id),
        id=id_,
        version=version,
        content_hash=content_hash,
        source_version=source_version,
        updated_at=updated_at,
    )


def _expect(wanted: int, written: int, what: str) -> None:
    if written != wanted:
        raise LostRaceError(
            f"another writer was first: {wanted - written} of {wanted} {what} were not written"
        )


def _storable(source_version: int | None) -> int | None:
    if source_version is not None and not -_LARGEST <= source_version <= _LARGEST:
        raise PermanentError(
            f"source_version {source_version} has more than 64 bits: no database stores it as a number"
        )
    return source_version
