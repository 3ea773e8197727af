"""Erasing rows of a tenant or of an entity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, insert, select, tuple_, update
from typing_extensions import override

from api_exchange_core.adapters.sql import schema
from api_exchange_core.adapters.sql.across_tenants import reading, writing
from api_exchange_core.adapters.sql.messages_about import messages_about
from api_exchange_core.adapters.sql.row_address import LIMIT, is_one_of
from api_exchange_core.domain.entity import EntityKey
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.erasure import Eraser

_MESSAGES: Final = (schema.queue, schema.outbox)
_TABLES_OF_ENTITIES: Final = (
    *_MESSAGES,
    schema.errors,
    schema.journal,
    schema.entity_versions,
    schema.entities,
)


def tables_of_tenants() -> list[Table]:
    """All tables with rows of a tenant, messages first, and none before those that refer to it."""
    owned = [table for table in reversed(schema.metadata.sorted_tables) if "tenant_id" in table.c]
    return [*_MESSAGES, *(table for table in owned if table not in _MESSAGES)]


@dataclass(frozen=True, slots=True)
class SqlEraser(Eraser):
    """Erases from the tables of a database.

    A table holds rows of tenants if it has a column ``tenant_id``; one that comes later is erased from as well.
    """

    engine: Engine

    @override
    def named(self, tenant_id: TenantId, *, external_id: str) -> Sequence[EntityKey]:
        heads = schema.entities
        wanted = (
            select(heads.c.canonical_type, heads.c.source)
            .where(heads.c.tenant_id == tenant_id, heads.c.external_id == external_id)
            .order_by(heads.c.canonical_type, heads.c.source)
        )
        with reading(self.engine) as connection:
            rows = connection.execute(wanted).all()
        return [EntityKey(tenant_id, row.canonical_type, row.source, external_id) for row in rows]

    @override
    def held(self, subject: Subject) -> Mapping[str, int]:
        with reading(self.engine) as connection:
            counted = {
                str(table.name): connection.execute(
                    select(func.count()).select_from(table).where(*_rows(connection, table, subject))
                ).scalar_one()
                for table in _tables(subject)
            }
        return {table: number for table, number in counted.items() if number}

    @override
    def parts(self, subject: Subject) -> Sequence[str]:
        return [str(table.name) for table in _tables(subject)]

    @override
    def begin(self, erasure: Erasure) -> None:
        row = {
            "id": erasure.id,
            "tenant": erasure.tenant_id,
            "entity_proof": erasure.entity_proof,
            "requested_by": erasure.requested_by,
            "started_at": erasure.started_at,
            "finished_at": erasure.finished_at,
            "removed": dict(erasure.removed),
        }
        with writing(self.engine) as connection:
            connection.execute(insert(schema.erasures), row)

    @override
    def remove(self, subject: Subject, part: str, *, erasure_id: str, limit: int) -> int:
        table = schema.metadata.tables[part]
        with reading(self.engine) as connection:  # messages are opened before anybody has to wait for it
            where = _rows(connection, table, subject, limit=limit)
        with writing(self.engine) as connection:
            found = is_one_of(connection, table, *where)
            removed = connection.execute(delete(table).where(found), {LIMIT.key: limit}).rowcount
            if removed:
                _count(connection, erasure_id, part, removed)
        return removed

    @override
    def count(self, erasure_id: str, part: str, number: int) -> None:
        with writing(self.engine) as connection:
            _count(connection, erasure_id, part, number)

    @override
    def finish(self, erasure_id: str, *, files: int, now: datetime) -> None:
        with writing(self.engine) as connection:
            if files:
                _count(connection, erasure_id, "files", files)
            connection.execute(
                update(schema.erasures).where(schema.erasures.c.id == erasure_id).values(finished_at=now)
            )

    @override
    def records(self) -> Sequence[Erasure]:
        wanted = select(schema.erasures).order_by(schema.erasures.c.started_at, schema.erasures.c.id)
        with reading(self.engine) as connection:
            rows = connection.execute(wanted).all()
        return [
            Erasure(
                id=row.id,
                tenant_id=row.tenant,
                entity_proof=row.entity_proof,
                requested_by=row.requested_by,
                started_at=row.started_at,
                finished_at=row.finished_at,
                removed=row.removed,
            )
            for row in rows
        ]


def _tables(subject: Subject) -> Sequence[Table]:
    return tables_of_tenants() if subject.entity_id is None else _TABLES_OF_ENTITIES


def _rows(
    connection: Connection, table: Table, subject: Subject, *, limit: int | None = None
) -> tuple[ColumnElement[bool], ...]:
    """Which rows of *table* are the subject's."""
    of_tenant = table.c.tenant_id == subject.tenant_id
    if subject.entity_id is None:
        return (of_tenant,)
    if table in _MESSAGES:
        return (of_tenant, table.c.id.in_(messages_about(connection, table, subject, limit=limit)))
    if table is schema.errors:
        # An error says which message it is of, and the journal which entity that one was about.
        runs = select(schema.journal.c.function, schema.journal.c.message_id).where(
            schema.journal.c.tenant_id == subject.tenant_id, schema.journal.c.entity_id == subject.entity_id
        )
        return (of_tenant, tuple_(table.c.function, table.c.message_id).in_(runs))
    names_it = table.c.id if table is schema.entities else table.c.entity_id
    return (of_tenant, names_it == subject.entity_id)


def _count(connection: Connection, erasure_id: str, what: str, number: int) -> None:
    """Add to the record; nobody else writes it within this transaction."""
    of_record = schema.erasures.c.id == erasure_id
    locked: Any = select(schema.erasures.c.removed).where(of_record).with_for_update()
    removed = connection.execute(locked).scalar_one()
    total = {**removed, what: removed.get(what, 0) + number}
    connection.execute(update(schema.erasures).where(of_record).values(removed=total))
