"""One machine of the application under torture, with timeouts so short that what was killed comes back soon."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from dependency_injector import providers
from sqlalchemy import Engine

from api_exchange_core import Exchange
from api_exchange_core.adapters.files.file_sink import LocalFileSink
from api_exchange_core.adapters.sql.budgets import SqlBudgets
from api_exchange_core.adapters.sql.credential_store import SqlCredentialStore
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.eraser import SqlEraser
from api_exchange_core.adapters.sql.leases import SqlLeases
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.request_log import SqlRequestLog
from api_exchange_core.adapters.sql.retention_store import SqlRetentionStore
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.local.runner import Runner
from api_exchange_core.local.worker import WorkerLimits
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing import InMemorySealer, InMemorySecretSource

VISIBILITY = timedelta(seconds=3)
_GRACE = timedelta(seconds=1)
_LEASE = timedelta(seconds=3)
LIMITS = WorkerLimits(
    batch=50,
    visibility=VISIBILITY,
    patience=timedelta(milliseconds=500),
    poll=timedelta(milliseconds=100),
    after_error=timedelta(milliseconds=200),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the application lives.

    Args:
        store_url: of the database that holds the store.
        queue_url: of the one that holds the queues; the same, or one that no transaction spans.
        folder: for output files and tallies.
    """

    store_url: str = field(repr=False)
    queue_url: str = field(repr=False)
    folder: Path

    @property
    def queues_here(self) -> bool:
        """Whether store and queues are one database."""
        return self.store_url == self.queue_url


def engines_of(place: Place) -> tuple[Engine, Engine]:
    """Engines of the store and of the queues; the same one if they are one database."""
    store = create_engine_for(place.store_url)
    return store, store if place.queues_here else create_engine_for(place.queue_url)


@dataclass(slots=True)
class Parts:
    """The adapters of one machine, any of which may be exchanged before it is built.

    Args:
        place: where it lives.
        store, queues: engines of its databases; one and the same if they are one database.
        clock: tells the time.
    """

    place: Place
    store: Engine
    queues: Engine
    clock: Clock
    queue: SqlQueue = field(init=False)
    publisher: MessagePublisher = field(init=False)
    consumer: MessageConsumer = field(init=False)
    units: UnitOfWorkFactory = field(init=False)
    outbox: OutboxRelaySource = field(init=False)
    files: FileSink = field(init=False)

    def __post_init__(self) -> None:
        here = self.place.queues_here
        self.queue = SqlQueue(self.queues, self.clock)
        self.publisher = self.consumer = self.queue
        self.units = SqlUnitOfWorkFactory(self.store, queues_here=here, relay_grace=_GRACE)
        self.outbox = SqlOutboxRelaySource(self.store)
        self.files = LocalFileSink(self.place.folder / "output")

    def use_cases(self, exchange: Exchange, observer: Observer) -> UseCases:
        """The application over these parts."""
        use_cases = UseCases(
            exchange=providers.Object(exchange),
            clock=providers.Object(self.clock),
            randomness=providers.Object(SystemRandomness()),
            observer=providers.Object(observer),
            units=providers.Object(self.units),
            tenants=providers.Object(SqlTenantDirectory(self.store)),
            publisher=providers.Object(self.publisher),
            files=providers.Object(self.files),
            outbox=providers.Object(self.outbox),
            leases=providers.Object(SqlLeases(self.store)),
            retention=providers.Object(SqlRetentionStore(self.store)),
            eraser=providers.Object(SqlEraser(self.store)),
            budgets=providers.Object(SqlBudgets(self.store)),
            token_store=providers.Object(SqlTokenStore(self.store)),
            credentials=providers.Object(SqlCredentialStore(self.store)),
            sealer=providers.Object(InMemorySealer()),
            requests=providers.Object(SqlRequestLog(self.store)),
            secrets=providers.Object(InMemorySecretSource()),
        )
        use_cases.relay.add_kwargs(lease=_LEASE)
        return use_cases

    def runner(self, exchange: Exchange, observer: Observer) -> Runner:
        """The machine, not yet started."""
        use_cases = self.use_cases(exchange, observer)
        return Runner(
            exchange=exchange,
            consumer=self.consumer,
            queues=self.queue,
            handler=use_cases.handler(),
            chores=use_cases.chores(),
            do_chore=use_cases.do_chore(),
            fan_out=use_cases.fan_out(),
            accept=use_cases.accept(),
            calls=use_cases.calls(),
            clock=self.clock,
            observer=observer,
            limits=LIMITS,
        )
