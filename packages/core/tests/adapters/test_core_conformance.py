"""The adapters that come with core pass the suites that every adapter passes, on both databases."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Engine

from api_exchange_core.adapters.crypto.aes_gcm import KEYRING, KEYS_MEMORY, AesGcmSealer
from api_exchange_core.adapters.files.file_sink import LocalFileSink
from api_exchange_core.adapters.files.payload_store import FilePayloadStore
from api_exchange_core.adapters.json.canonical_encoder import OrjsonCanonicalEncoder
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.backlog import SqlBacklog
from api_exchange_core.adapters.sql.budgets import SqlBudgets
from api_exchange_core.adapters.sql.credential_store import SqlCredentialStore
from api_exchange_core.adapters.sql.dead_letter_jobs import SqlDeadLetterJobs
from api_exchange_core.adapters.sql.dead_letters import SqlDeadLetters
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.entity_reports import SqlEntityReports
from api_exchange_core.adapters.sql.eraser import SqlEraser
from api_exchange_core.adapters.sql.error_groups import SqlErrorGroups
from api_exchange_core.adapters.sql.leases import SqlLeases
from api_exchange_core.adapters.sql.message_reports import SqlMessageReports
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.request_log import SqlRequestLog
from api_exchange_core.adapters.sql.retention_store import SqlRetentionStore
from api_exchange_core.adapters.sql.statistics import SqlStatisticsSource
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.adapters.system.secret_source import EnvironmentSecretSource, FolderSecretSource
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.adapters.telemetry.metrics import Metrics
from api_exchange_core.adapters.telemetry.observer import StructlogObserver
from api_exchange_core.adapters.telemetry.observers import TelemetryObserver
from api_exchange_core.adapters.telemetry.tracing import Tracing
from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.canonical_encoder import CanonicalEncoder
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.payload_store import PayloadStore
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_core.ports.secret_source import SecretSource
from api_exchange_testing import InMemorySecretSource
from api_exchange_testing.conformance import (
    BacklogSuite,
    BudgetsSuite,
    CanonicalEncoderSuite,
    CheckpointsSuite,
    ClockSuite,
    CredentialStoreSuite,
    DeadLetterJobsSuite,
    DeadLettersSuite,
    EntityReportsSuite,
    EntityStoreSuite,
    EraserSuite,
    ErrorGroupsSuite,
    ErrorLogSuite,
    FileSinkSuite,
    JournalSuite,
    LeasesSuite,
    MessageConsumerSuite,
    MessagePublisherSuite,
    MessageReportsSuite,
    ObserverSuite,
    OutboxSuite,
    PassingTime,
    PayloadStoreSuite,
    QueueInspectorSuite,
    QueuesHereSuite,
    QueueTraits,
    RandomnessSuite,
    Reports,
    RequestLogSuite,
    RetentionStoreSuite,
    SealerSuite,
    Sealing,
    SecretSourceSuite,
    SleeperSuite,
    StatisticsSourceSuite,
    Storage,
    TenantDirectorySuite,
    TokenStoreSuite,
    Transport,
    UnitOfWorkSuite,
)
from api_exchange_testing.conformance.budgets import ConnectBudgets
from api_exchange_testing.conformance.credential_store import ConnectCredentials
from api_exchange_testing.conformance.dead_letter_jobs import Connect as JobsConnect
from api_exchange_testing.conformance.eraser import ConnectEraser
from api_exchange_testing.conformance.file_sink import Read
from api_exchange_testing.conformance.leases import ConnectLeases
from api_exchange_testing.conformance.payload_store import Damage
from api_exchange_testing.conformance.request_log import ConnectRequestLog
from api_exchange_testing.conformance.secret_source import Keep
from api_exchange_testing.conformance.tenant_directory import Connect
from api_exchange_testing.conformance.token_store import ConnectTokens, TokenClient

GRACE = timedelta(seconds=5)
TENANTS = (TenantId("customer-a"), TenantId("customer-b"))

NewEngine = Callable[[], Engine]


@pytest.fixture
def new_engine(database_url: str) -> Iterator[NewEngine]:
    """Connects to the migrated database, as another process would each time."""
    engines: list[Engine] = []

    def connect() -> Engine:
        engines.append(create_engine_for(database_url))
        return engines[-1]

    migrate.upgrade(connect())
    yield connect
    for engine in engines:
        engine.dispose()


def transport_of(engine: Engine, clock: Clock) -> Transport:
    queue = SqlQueue(engine, clock)
    # A receipt stays good until the row is handed to somebody else.
    return Transport(
        publisher=queue, consumer=queue, inspector=queue, traits=QueueTraits(receipts_expire=False)
    )


def storage_of(new_engine: NewEngine, clock: Clock, *, queues_here: bool) -> Storage:
    engine = new_engine()
    SqlTenantDirectory(engine).add(TENANTS, now=datetime(2026, 1, 1, tzinfo=UTC))
    return Storage(
        connect=lambda: SqlUnitOfWorkFactory(new_engine(), queues_here=queues_here, relay_grace=GRACE),
        relay_source=SqlOutboxRelaySource(engine),
        due_after=GRACE,
        transport=transport_of(engine, clock) if queues_here else None,
    )


class TestSqlQueue(MessagePublisherSuite, MessageConsumerSuite, QueueInspectorSuite):
    @pytest.fixture
    def transport(self, new_engine: NewEngine, clock: PassingTime) -> Transport:
        return transport_of(new_engine(), clock)


class TestSqlDeadLetters(DeadLettersSuite):
    @pytest.fixture
    def transport(self, new_engine: NewEngine, clock: PassingTime) -> Transport:
        return transport_of(new_engine(), clock)

    @pytest.fixture
    def dead_letters(self, new_engine: NewEngine, clock: PassingTime) -> SqlDeadLetters:
        return SqlDeadLetters(new_engine(), clock)


class TestSqlDeadLetterJobs(DeadLetterJobsSuite):
    @pytest.fixture
    def connect(self, new_engine: NewEngine) -> JobsConnect:
        return lambda: SqlDeadLetterJobs(new_engine())


class TestSqlStore(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, CheckpointsSuite, OutboxSuite
):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=False)


class TestSqlStoreWithQueues(
    UnitOfWorkSuite, EntityStoreSuite, JournalSuite, ErrorLogSuite, CheckpointsSuite, QueuesHereSuite
):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=True)


class TestSqlReports(
    MessageReportsSuite, ErrorGroupsSuite, StatisticsSourceSuite, BacklogSuite, EntityReportsSuite
):
    @pytest.fixture
    def reports(self, new_engine: NewEngine, clock: PassingTime) -> Reports:
        engine = new_engine()
        return Reports(
            storage=storage_of(new_engine, clock, queues_here=True),
            messages=SqlMessageReports(engine),
            errors=SqlErrorGroups(engine),
            statistics=SqlStatisticsSource(engine),
            backlog=SqlBacklog(engine),
            entities=SqlEntityReports(engine),
        )


class TestSqlTenantDirectory(TenantDirectorySuite):
    @pytest.fixture
    def connect(self, new_engine: NewEngine) -> Connect:
        return lambda: SqlTenantDirectory(new_engine())


class TestSqlLeases(LeasesSuite):
    @pytest.fixture
    def connect_leases(self, new_engine: NewEngine) -> ConnectLeases:
        return lambda: SqlLeases(new_engine())


class TestSqlRequestLog(RequestLogSuite):
    @pytest.fixture
    def connect_request_log(self, new_engine: NewEngine) -> ConnectRequestLog:
        return lambda: SqlRequestLog(new_engine())

    @pytest.fixture
    def retention(self, new_engine: NewEngine) -> RetentionStore:
        return SqlRetentionStore(new_engine())

    @pytest.fixture
    def eraser(self, new_engine: NewEngine) -> Eraser:
        return SqlEraser(new_engine())


class TestSqlBudgets(BudgetsSuite):
    @pytest.fixture
    def connect_budgets(self, new_engine: NewEngine) -> ConnectBudgets:
        return lambda: SqlBudgets(new_engine())


class TestSqlTokenStore(TokenStoreSuite):
    @pytest.fixture
    def connect_tokens(self, new_engine: NewEngine, clock: PassingTime) -> ConnectTokens:
        def connect() -> TokenClient:
            store = SqlTokenStore(new_engine(), clock)
            return TokenClient(store, store)

        return connect


class TestSqlEraser(EraserSuite):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=True)

    @pytest.fixture
    def connect_eraser(self, new_engine: NewEngine) -> ConnectEraser:
        return lambda: SqlEraser(new_engine())


class TestSqlCredentialStore(CredentialStoreSuite):
    @pytest.fixture
    def connect_credentials(self, new_engine: NewEngine) -> ConnectCredentials:
        return lambda: SqlCredentialStore(new_engine())


class TestSqlRetentionStore(RetentionStoreSuite):
    @pytest.fixture
    def storage(self, new_engine: NewEngine, clock: PassingTime) -> Storage:
        return storage_of(new_engine, clock, queues_here=False)

    @pytest.fixture
    def retention(self, new_engine: NewEngine) -> RetentionStore:
        return SqlRetentionStore(new_engine())


class TestLocalFileSink(FileSinkSuite):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> FileSink:
        return LocalFileSink(tmp_path)

    @pytest.fixture
    def read(self, tmp_path: Path) -> Read:
        def read(tenant_id: TenantId, name: str) -> bytes:
            file = tmp_path / tenant_id / name
            return file.read_bytes() if file.exists() else b""

        return read


class TestFilePayloadStore(PayloadStoreSuite):
    @pytest.fixture
    def payloads(self, tmp_path: Path) -> PayloadStore:
        return FilePayloadStore(tmp_path / "contents")

    @pytest.fixture
    def damage(self, tmp_path: Path) -> Damage:
        def damage(tenant_id: TenantId, claim: PayloadClaim) -> None:
            (tmp_path / "contents" / tenant_id / claim.digest).write_bytes(b"something else")

        return damage


class TestAesGcmSealer(SealerSuite):
    @pytest.fixture
    def sealing(self, clock: PassingTime) -> Sealing:
        source = InMemorySecretSource()

        def use(keys: Sequence[str]) -> None:
            entries = [f"{key}:{b64encode(sha256(key.encode()).digest()).decode()}" for key in keys]
            source.keep(KEYRING, "\n".join(entries).encode())

        return Sealing(connect=lambda: AesGcmSealer(source, clock), use=use, memory=KEYS_MEMORY)


class TestEnvironmentSecretSource(SecretSourceSuite):
    @pytest.fixture
    def source(self) -> SecretSource:
        return EnvironmentSecretSource()

    @pytest.fixture
    def keep(self, monkeypatch: pytest.MonkeyPatch) -> Keep:
        def keep(name: str, secret: bytes | None) -> None:
            if secret is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, secret.decode("utf-8", "surrogateescape"))

        return keep


class TestFolderSecretSource(SecretSourceSuite):
    @pytest.fixture
    def source(self, tmp_path: Path) -> SecretSource:
        return FolderSecretSource(tmp_path)

    @pytest.fixture
    def keep(self, tmp_path: Path) -> Keep:
        def keep(name: str, secret: bytes | None) -> None:
            if secret is None:
                (tmp_path / name).unlink()
            else:
                (tmp_path / name).write_bytes(secret)

        return keep


class TestOrjsonCanonicalEncoder(CanonicalEncoderSuite):
    @pytest.fixture
    def encode(self) -> CanonicalEncoder:
        return OrjsonCanonicalEncoder()


class TestSystemClock(ClockSuite):
    @pytest.fixture
    def subject(self) -> Clock:
        return SystemClock()


class TestSystemRandomness(RandomnessSuite):
    @pytest.fixture
    def randomness(self) -> Randomness:
        return SystemRandomness()


class TestSystemSleeper(SleeperSuite):
    @pytest.fixture
    def ticking(self) -> Clock:
        return SystemClock()

    @pytest.fixture
    def sleeper(self) -> SystemSleeper:
        return SystemSleeper()


class TestStructlogObserver(ObserverSuite):
    @pytest.fixture
    def observer(self) -> Observer:
        return StructlogObserver()


class TestTelemetryObserver(ObserverSuite):
    @pytest.fixture
    def observer(self) -> Observer:
        return TelemetryObserver()


class TestTelemetryObserverWithAnSdk(ObserverSuite):
    @pytest.fixture
    def observer(self) -> Iterator[Observer]:
        tracers = TracerProvider(shutdown_on_exit=False)
        meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
        yield TelemetryObserver(
            metrics=Metrics(meters.get_meter("test")), tracing=Tracing(tracers.get_tracer("test"))
        )
        tracers.shutdown()
        meters.shutdown()
