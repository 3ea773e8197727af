"""What outlives every instance: the stores, the queues, the true time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from typing_extensions import override

from api_exchange_core import Exchange
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_testing.harness import START
from api_exchange_testing.memory.budgets import InMemoryBudgets
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.credential_store import InMemoryCredentialStore
from api_exchange_testing.memory.eraser import InMemoryEraser
from api_exchange_testing.memory.file_sink import InMemoryFileSink
from api_exchange_testing.memory.leases import InMemoryLeases
from api_exchange_testing.memory.observer import RecordingObserver
from api_exchange_testing.memory.profile import PORTABLE, Profile
from api_exchange_testing.memory.queue import InMemoryQueue
from api_exchange_testing.memory.retention_store import InMemoryRetentionStore
from api_exchange_testing.memory.sealer import InMemorySealer
from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
from api_exchange_testing.memory.token_store import InMemoryTokenStore
from api_exchange_testing.memory.unit_of_work import InMemoryStore
from api_exchange_testing.simulation.chores import WatchedLeases
from api_exchange_testing.simulation.interposed import NotedPublisher
from api_exchange_testing.simulation.ledger import Ledger
from api_exchange_testing.simulation.token_watch import TokenWatch


class World:
    """The durable part of a simulated deployment.

    Attributes:
        exchange: the application.
        clock: the true time.
        queues: the transport.
        entrance: where messages are sent to it, and noted in the ledger.
        store: the database.
        files: what was written to files.
        tenants: the directory.
        observer: what was told to the observers of all instances.
        leases: who may do which chore.
        credentials: of the tenants.
        sealer: seals them.
        tokens: for other people's APIs.
        token_watch: what instances do with them.
        ledger: what really happened.
    """

    def __init__(self, exchange: Exchange, *, one_store: bool, profile: Profile = PORTABLE) -> None:
        self.exchange = exchange
        self.clock = VirtualClock(START)
        self.queues = InMemoryQueue(self.clock, profile=profile)
        self.locks = _Locks(self.clock)
        self.store = InMemoryStore(queue=self.queues if one_store else None, changed=self.locks)
        self.files = InMemoryFileSink()
        self.tenants = InMemoryTenantDirectory()
        self.tenants.add(exchange.tenants, now=self.clock.now())
        self.observer = RecordingObserver()
        self.leases = WatchedLeases(InMemoryLeases())
        self.tokens = InMemoryTokenStore(self.clock)
        self.token_watch = TokenWatch(self.clock)
        self.eraser = InMemoryEraser(self.store, queue=self.queues, tokens=self.tokens)
        self.retention = InMemoryRetentionStore(self.store)
        self.credentials = InMemoryCredentialStore(self.store)
        self.sealer = InMemorySealer()
        self.budgets = InMemoryBudgets(self.store)
        self.ledger = Ledger(exchange, one_store=one_store)
        self.entrance = NotedPublisher(self.queues, self.ledger)

    @property
    def tenant_ids(self) -> Sequence[TenantId]:
        """The tenants, by id."""
        return [tenant.id for tenant in self.tenants.all()]

    def has_for(self, queue: QueueName) -> bool:
        """Whether a receive from *queue* would find something now."""
        at = self.queues.next_visible_at([queue])
        return at is not None and at <= self.clock.now()

    def next_due(self) -> datetime | None:
        """When something is due that an idle instance would find."""
        due = [
            self.queues.next_visible_at(list(self.exchange.by_queue)),
            self.store.relay_source.next_due_at(),
        ]
        return min((at for at in due if at is not None), default=None)


class _Locks(threading.Condition):
    """What guards the store. All runs on one thread, so it only ever waits for transactions that hold rows.

    Attributes:
        give_way: lets other instances go on until a time has come or something holds.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(threading.RLock())
        self._clock = clock
        self.give_way: Callable[[datetime | None, Callable[[], bool]], None] = nobody_else

    @override
    def __enter__(self) -> bool:
        return True

    @override
    def __exit__(self, *_: object) -> None:
        return None

    @override
    def notify_all(self) -> None:
        """Whoever waits looks again whenever it is its turn."""

    @override
    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:  # type: ignore[override] # narrower than typeshed's
        if not predicate():
            until = None if timeout is None else self._clock.now() + timedelta(seconds=timeout)
            self.give_way(until, predicate)
        return predicate()


def nobody_else(_: datetime | None, __: object) -> None:
    """Who goes on while one waits for a row, as long as no instances run: not a soul."""
    raise RuntimeError("a row is locked, and there is nobody who could release it")
