"""The request log in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from typing_extensions import override

from api_exchange_core.domain.idempotency import RequestKey
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.ports.request_log import RequestLog, Standing

if TYPE_CHECKING:
    from api_exchange_testing.memory.unit_of_work import InMemoryStore


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """What is remembered of a request."""

    fingerprint: str
    received_at: datetime
    held_until: datetime | None


RequestRows = dict[tuple[FunctionName, str], LoggedRequest]
"""Those of one tenant, by function and key."""


class InMemoryRequestLog(RequestLog):
    """The requests that a store remembers.

    Args:
        store: where the rows are.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    def reserve(self, request: RequestKey, *, now: datetime, until: datetime) -> Standing:
        with self._store.changed:
            rows = self._store.of(request.tenant_id).requests
            logged = rows.setdefault(
                (request.function, request.key), LoggedRequest(request.fingerprint, now, now)
            )
            if logged.fingerprint != request.fingerprint:
                return Standing.OTHER
            if logged.held_until is None:
                return Standing.TAKEN_IN
            if logged.held_until > now:
                return Standing.UNDER_WAY
            rows[request.function, request.key] = replace(logged, held_until=until)
            return Standing.OURS

    @override
    def complete(self, request: RequestKey) -> None:
        with self._store.changed:
            rows = self._store.of(request.tenant_id).requests
            logged = rows.get((request.function, request.key))
            if logged is not None:
                rows[request.function, request.key] = replace(logged, held_until=None)
