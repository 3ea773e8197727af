"""Purging a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from typing_extensions import override

from api_exchange_core.domain.entity import EntityVersion
from api_exchange_core.domain.names import EntityId
from api_exchange_core.domain.retention import Expiry, Kept
from api_exchange_core.ports.journal import UNDECIDED
from api_exchange_core.ports.retention import Place, RetentionStore, Step
from api_exchange_testing.memory.entity_store import EntityRows
from api_exchange_testing.memory.journal import JournalRows
from api_exchange_testing.memory.unit_of_work import InMemoryStore

_Row = tuple[bool, Callable[[], object]]
"""Whether a row has expired, and what removes it."""


class InMemoryRetentionStore(RetentionStore):
    """Purges what is committed.

    Args:
        store: whose rows.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    def purge(self, expiry: Expiry, *, after: Place | None, limit: int, dry_run: bool = False) -> Step:
        start = 0 if after is None else int(after)
        with self._store.changed:
            rows = list(self._rows(expiry))
            drops = [drop for expired, drop in rows[start : start + limit] if expired]
            if not dry_run:
                for drop in drops:
                    drop()
        # What is removed lets the rest move up.
        end = start + limit - (0 if dry_run else len(drops))
        return Step(len(drops), Place(str(end)) if start + limit < len(rows) else None)

    def _rows(self, expiry: Expiry) -> Iterator[_Row]:
        for tenant_id in self._store.tenants:
            rows = self._store.of(tenant_id)
            match expiry.kept:
                case Kept.JOURNAL:
                    yield from _entries(rows.journal, expiry)
                case Kept.ERRORS:
                    for error in rows.errors:
                        yield _is_old(error.occurred_at, expiry), partial(rows.errors.remove, error)
                case Kept.VERSIONS:
                    yield from _versions(rows.entities, expiry)
                case Kept.REQUESTS:
                    for named, request in rows.requests.items():
                        yield _is_old(request.received_at, expiry), partial(rows.requests.pop, named)


def _entries(rows: JournalRows, expiry: Expiry) -> Iterator[_Row]:
    for key, entry in rows.items():
        yield entry.state not in UNDECIDED and _is_old(entry.finished_at, expiry), partial(rows.pop, key)


def _versions(rows: EntityRows, expiry: Expiry) -> Iterator[_Row]:
    for id_, versions in rows.versions.items():
        newest = rows.heads[id_].version - (1 if expiry.beyond is None else expiry.beyond)
        expired = True
        for version in versions:
            # Once one stays, those after it stay: a history has no gap.
            old = expiry.before is None or version.created_at < expiry.before
            expired = expired and version.version <= newest and old
            yield expired, partial(_drop, rows.versions, id_, version)


def _drop(versions: dict[EntityId, tuple[EntityVersion, ...]], id_: EntityId, dropped: EntityVersion) -> None:
    versions[id_] = tuple(one for one in versions[id_] if one is not dropped)


def _is_old(at: datetime, expiry: Expiry) -> bool:
    return expiry.before is None or at < expiry.before
