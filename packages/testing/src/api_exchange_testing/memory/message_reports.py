"""What an `InMemoryStore` tells of messages, across tenants."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields

from typing_extensions import override

from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.message_reports import (
    FailedAttempt,
    HandledMessage,
    MessageFilter,
    MessageReports,
    PlaceInList,
    Request,
)
from api_exchange_testing.memory.unit_of_work import InMemoryStore

_FAILED = (ProcessingState.DEAD, ProcessingState.RETRYING)
_ENTRY = tuple(one.name for one in fields(JournalEntry))
_ATTEMPT = tuple(one.name for one in fields(ErrorEntry))


class InMemoryMessageReports(MessageReports):
    """Reads the committed entries.

    Args:
        store: whose.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    def requests_named(
        self, id_: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[Request]:
        messages = list(self._messages(tenant_id))
        named = {_request(one) for one in messages if one.correlation_id == id_}
        named = named or {_request(one) for one in messages if one.message_id == id_}
        return sorted(named)[:limit]

    @override
    def requests_about(
        self, entity_id: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[Request]:
        times = [
            (_request(one), one.finished_at)
            for one in self._messages(tenant_id)
            if one.entity_id == entity_id and one.state in _FAILED
        ]
        with self._store.changed:
            times += [
                (Request(tenant, version.correlation_id), version.created_at)
                for tenant, rows in self._store.by_tenant(tenant_id).items()
                for id_, versions in rows.entities.versions.items()
                for version in versions
                if id_ == entity_id and version.correlation_id is not None
            ]
        newest = {request: max(at for one, at in times if one == request) for request, _ in times}
        return sorted(sorted(newest), key=lambda request: newest[request], reverse=True)[:limit]

    @override
    def of_request(self, request: Request, *, limit: int) -> Sequence[HandledMessage]:
        own = (one for one in self._messages(request.tenant_id) if _request(one) == request)
        return sorted(own, key=lambda one: (one.started_at, one.finished_at, one.function, one.message_id))[
            :limit
        ]

    @override
    def failed_attempts(
        self, message_ids: Collection[MessageId], *, tenant_id: TenantId, limit: int
    ) -> Sequence[FailedAttempt]:
        with self._store.changed:
            entries = [one for one in self._store.of(tenant_id).errors if one.message_id in message_ids]
        entries.sort(key=lambda one: one.occurred_at)
        return [
            FailedAttempt(tenant_id=tenant_id, **{name: getattr(one, name) for name in _ATTEMPT})
            for one in entries[:limit]
        ]

    @override
    def newest(
        self, wanted: MessageFilter, *, limit: int, after: PlaceInList | None = None
    ) -> Sequence[HandledMessage]:
        passing = [
            one
            for one in self._messages(wanted.tenant_id)
            if wanted.function in (None, one.function)
            and wanted.state in (None, one.state)
            and (wanted.since is None or one.finished_at >= wanted.since)
            and (after is None or PlaceInList.of(one) < after)
        ]
        return sorted(passing, key=PlaceInList.of, reverse=True)[:limit]

    def _messages(self, tenant_id: TenantId | None) -> Iterator[HandledMessage]:
        with self._store.changed:
            entries = [
                (tenant, entry)
                for tenant, rows in self._store.by_tenant(tenant_id).items()
                for entry in rows.journal.values()
            ]
        for tenant, entry in entries:
            yield HandledMessage(tenant_id=tenant, **{name: getattr(entry, name) for name in _ENTRY})


def _request(message: HandledMessage) -> Request:
    return Request(message.tenant_id, message.correlation_id)
