"""Erasing from a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from typing_extensions import override

from api_exchange_core.domain.entity import EntityKey, EntityVersion
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.errors import InvalidMessageError, UnknownEnvelopeError
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_testing.memory.queue import InMemoryQueue
from api_exchange_testing.memory.token_store import InMemoryTokenStore
from api_exchange_testing.memory.unit_of_work import InMemoryStore

_PARTS: Final = ("queue", "outbox", "errors", "journal", "entity_versions", "entities")
_PARTS_OF_TENANTS: Final = (*_PARTS, "checkpoints", "credentials", "requests", "rate_budgets", "api_tokens")


Drop = Callable[[], object]
"""Removes one row."""


class InMemoryEraser(Eraser):
    """Erases from what is committed.

    Args:
        store: whose rows.
        queue: where its messages are, if that is not within the store.
        tokens: for other people's APIs.
    """

    def __init__(
        self,
        store: InMemoryStore,
        *,
        queue: InMemoryQueue | None = None,
        tokens: InMemoryTokenStore | None = None,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._queue = store.queue if queue is None else queue
        self._records: dict[str, Erasure] = {}

    @override
    def named(self, tenant_id: TenantId, *, external_id: str) -> Sequence[EntityKey]:
        with self._store.changed:
            keys = [head.key for head in self._store.of(tenant_id).entities.heads.values()]
        found = [key for key in keys if key.external_id == external_id]
        return sorted(found, key=lambda key: (key.canonical_type, key.source))

    @override
    def held(self, subject: Subject) -> Mapping[str, int]:
        with self._store.changed:
            counted = {part: len(self._rows(subject, part)) for part in self.parts(subject)}
        return {part: number for part, number in counted.items() if number}

    @override
    def parts(self, subject: Subject) -> Sequence[str]:
        return _PARTS_OF_TENANTS if subject.entity_id is None else _PARTS

    @override
    def begin(self, erasure: Erasure) -> None:
        with self._store.changed:
            self._records[erasure.id] = erasure

    @override
    def remove(self, subject: Subject, part: str, *, erasure_id: str, limit: int) -> int:
        with self._store.changed:
            rows = self._rows(subject, part)[:limit]
            for drop in rows:
                drop()
            if rows:
                self._count(erasure_id, part, len(rows))
        return len(rows)

    @override
    def count(self, erasure_id: str, part: str, number: int) -> None:
        with self._store.changed:
            self._count(erasure_id, part, number)

    @override
    def finish(self, erasure_id: str, *, files: int, now: datetime) -> None:
        with self._store.changed:
            if files:
                self._count(erasure_id, "files", files)
            self._records[erasure_id] = replace(self._records[erasure_id], finished_at=now)

    @override
    def records(self) -> Sequence[Erasure]:
        with self._store.changed:
            return sorted(self._records.values(), key=lambda one: (one.started_at, one.id))

    def _count(self, erasure_id: str, what: str, number: int) -> None:
        record = self._records[erasure_id]
        total = {**record.removed, what: record.removed.get(what, 0) + number}
        self._records[erasure_id] = replace(record, removed=total)

    def _rows(self, subject: Subject, part: str) -> list[Drop]:
        if part not in self.parts(subject):
            return []
        match part:
            case "queue":
                return self._queued(subject)
            case "outbox":
                return self._waiting(subject)
            case "errors":
                return self._errors(subject)
            case "journal":
                return self._journal(subject)
            case "entities" | "entity_versions":
                return self._entities(subject, part)
            case _:
                return self._whole(subject, part)

    def _queued(self, subject: Subject) -> list[Drop]:
        queue = self._queue
        if queue is None:
            return []
        return [
            partial(queue.discard, name, message.number)
            for name in queue.depths()
            for message in queue.messages(name)
            if message.outgoing.tenant_id == subject.tenant_id and _is_about(message.body, subject)
        ]

    def _waiting(self, subject: Subject) -> list[Drop]:
        waiting = self._store.outbox.waiting
        rows = [one.row for one in waiting.values() if one.row.effect.tenant_id == subject.tenant_id]
        return [partial(waiting.pop, row.id) for row in rows if _is_about(_body(row.effect), subject)]

    def _errors(self, subject: Subject) -> list[Drop]:
        rows = self._store.of(subject.tenant_id)
        runs = {key for key, entry in rows.journal.items() if subject.entity_id in (None, entry.entity_id)}
        return [
            partial(rows.errors.remove, entry)
            for entry in rows.errors
            if subject.entity_id is None or (entry.function, entry.message_id) in runs
        ]

    def _journal(self, subject: Subject) -> list[Drop]:
        journal = self._store.of(subject.tenant_id).journal
        return [
            partial(journal.pop, key)
            for key, entry in journal.items()
            if subject.entity_id in (None, entry.entity_id)
        ]

    def _whole(self, subject: Subject, part: str) -> list[Drop]:
        """What is the tenant's, and no entity's."""
        if part == "api_tokens":
            return [] if self._tokens is None else self._tokens.drops(subject.tenant_id)
        rows = self._store.of(subject.tenant_id)
        whole: Mapping[str, dict[Any, Any]] = {
            "checkpoints": rows.checkpoints,
            "credentials": rows.credentials,
            "requests": rows.requests,
            "rate_budgets": rows.budgets,
        }
        return [partial(whole[part].pop, key) for key in whole[part]]

    def _entities(self, subject: Subject, part: str) -> list[Drop]:
        rows = self._store.of(subject.tenant_id).entities
        if part == "entities":
            return [partial(rows.heads.pop, id_) for id_ in rows.heads if subject.entity_id in (None, id_)]
        return [
            partial(_drop_oldest, rows.versions, id_)
            for id_, versions in rows.versions.items()
            if subject.entity_id in (None, id_)
            for _ in versions
        ]


def _drop_oldest(versions: dict[EntityId, tuple[EntityVersion, ...]], id_: EntityId) -> None:
    versions[id_] = versions[id_][1:]
    if not versions[id_]:
        del versions[id_]


def _body(effect: Outgoing | OutgoingLine) -> bytes:
    return effect.line if isinstance(effect, OutgoingLine) else effect.body


def _is_about(body: bytes, subject: Subject) -> bool:
    """Whether a message of the tenant is about the subject; one that names the entity and cannot be read counts."""
    if subject.entity_id is None:
        return True
    if subject.entity_id.encode() not in body:
        return False
    try:
        message = decode(body)
    except (InvalidMessageError, UnknownEnvelopeError):
        return True
    return message.entity is not None and message.entity.id == subject.entity_id
