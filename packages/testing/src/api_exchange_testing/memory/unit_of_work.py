"""Transactions in memory: staged, then committed under one lock with the checks of a database."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from typing_extensions import override

from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.checkpoints import Checkpoints
from api_exchange_core.ports.entity_store import EntityStore
from api_exchange_core.ports.error_log import ErrorLog
from api_exchange_core.ports.journal import Journal
from api_exchange_core.ports.outbox import Outbox
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing.memory.checkpoints import CheckpointRows, InMemoryCheckpoints
from api_exchange_testing.memory.entity_store import EntityRows, InMemoryEntityStore
from api_exchange_testing.memory.error_log import ErrorRows, GroupRows, InMemoryErrorLog
from api_exchange_testing.memory.journal import InMemoryJournal, JournalRows
from api_exchange_testing.memory.outbox import InMemoryOutbox, InMemoryOutboxRelaySource, OutboxRows
from api_exchange_testing.memory.queue import InMemoryQueue


@dataclass(slots=True)
class _TenantRows:
    """What is committed for one tenant."""

    entities: EntityRows = field(default_factory=EntityRows)
    journal: JournalRows = field(default_factory=dict)
    errors: ErrorRows = field(default_factory=list)
    groups: GroupRows = field(default_factory=dict)
    checkpoints: CheckpointRows = field(default_factory=dict)


class InMemoryStore:
    """What a database is elsewhere: the committed rows, which all units of work share.

    Args:
        queue: the queues that live in this store; commits then enqueue and acknowledge. Without it messages
            become outbox rows, and acknowledging is left to the consumer.
        changed: guards the rows, and is notified when a unit of work has ended.
    """

    def __init__(
        self, *, queue: InMemoryQueue | None = None, changed: threading.Condition | None = None
    ) -> None:
        self.queue = queue
        self.changed = threading.Condition(threading.RLock()) if changed is None else changed
        self.outbox = OutboxRows()
        self._tenants: defaultdict[TenantId, _TenantRows] = defaultdict(_TenantRows)

    @property
    def relay_source(self) -> InMemoryOutboxRelaySource:
        """The outbox as the relay sees it."""
        return InMemoryOutboxRelaySource(self.outbox, self.changed)

    @property
    def tenants(self) -> list[TenantId]:
        """Whose rows there are."""
        with self.changed:
            return list(self._tenants)

    def of(self, tenant_id: TenantId) -> _TenantRows:
        """The rows of one tenant."""
        with self.changed:
            return self._tenants[tenant_id]

    def by_tenant(self, tenant_id: TenantId | None) -> dict[TenantId, _TenantRows]:
        """The rows of one tenant or of all, to be read while `changed` is held."""
        if tenant_id is not None:
            return {tenant_id: self.of(tenant_id)}
        return dict(sorted(self._tenants.items()))


class InMemoryUnitOfWork(UnitOfWork):
    """One transaction: what it reads is committed or its own, and what it writes is staged until `commit`."""

    def __init__(self, store: InMemoryStore, tenant_id: TenantId) -> None:
        rows = store.of(tenant_id)
        self._store = store
        self._entities = InMemoryEntityStore(rows.entities, tenant_id, store.changed)
        self._journal = InMemoryJournal(rows.journal, store.changed)
        self._errors = InMemoryErrorLog(rows.errors, rows.groups, tenant_id, store.changed)
        self._outbox = InMemoryOutbox(store.outbox, store.changed, queues_here=store.queue is not None)
        self._checkpoints = InMemoryCheckpoints(rows.checkpoints, store.changed)
        self._acknowledged: list[Delivery] = []
        self._ended = False

    @property
    @override
    def entities(self) -> EntityStore:
        return self._entities

    @property
    @override
    def journal(self) -> Journal:
        return self._journal

    @property
    @override
    def outbox(self) -> Outbox:
        return self._outbox

    @property
    @override
    def errors(self) -> ErrorLog:
        return self._errors

    @property
    @override
    def checkpoints(self) -> Checkpoints:
        return self._checkpoints

    @override
    def acknowledge(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        if self._store.queue is None:
            return deliveries
        self._acknowledged += deliveries
        self._store.queue.check_claims(deliveries)
        return ()

    @override
    def commit(self) -> None:
        if self._ended:
            raise RuntimeError("this unit of work has ended: begin another one")
        with self._store.changed:
            self._entities.check()
            self._journal.check()
            self._checkpoints.check()
            if self._store.queue is not None:
                self._store.queue.exchange(acknowledged=self._acknowledged, published=self._outbox.to_enqueue)
            # From here on nothing can fail.
            for part in (self._entities, self._journal, self._errors, self._outbox, self._checkpoints):
                part.apply()
            self.end()

    def end(self) -> None:
        """Forget what is not committed, and wake those who wait for its locks."""
        with self._store.changed:
            self._ended = True
            self._entities.release()
            self._store.changed.notify_all()


class InMemoryUnitOfWorkFactory(UnitOfWorkFactory):
    """Begins units of work on a store.

    Args:
        store: shared by all factories that are to see the same rows.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[InMemoryUnitOfWork]:
        unit = InMemoryUnitOfWork(self._store, tenant_id)
        try:
            yield unit
        finally:
            unit.end()
