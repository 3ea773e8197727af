"""The adapters of one machine under the use cases."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector import containers, providers
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api_exchange_core.adapters.crypto.aes_gcm import AesGcmSealer
from api_exchange_core.adapters.files.file_sink import LocalFileSink
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
from api_exchange_core.adapters.system.secret_source import secret_source
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.adapters.telemetry.observers import TelemetryObserver
from api_exchange_core.adapters.telemetry.store_metrics import StoreMetrics
from api_exchange_core.containers.operations import Operations
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.domain.names import dead_letter_queue
from api_exchange_core.local.runner import Runner
from api_exchange_core.ports.observer import Observer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from api_exchange_core.local.management import Page


class LocalSettings(BaseSettings):
    """The settings of one machine, each from an environment variable ``API_EXCHANGE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="API_EXCHANGE_", frozen=True)

    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///exchange.db"),
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
    )
    output_folder: Path = Field(default=Path("output"), description="Where FileOutputHandler keeps its files")
    secrets_folder: Path | None = Field(
        default=None,
        description="Folder that holds secrets, a file each; without it they are environment variables",
    )
    http: bool | None = Field(
        default=None,
        description="Serve HTTP functions, /healthz, /readyz and /metrics; by default if there are HTTP functions",
    )
    host: str = Field(default="127.0.0.1", description="Address that HTTP is served on")
    metrics: bool | None = Field(
        default=None,
        description="Serve /metrics; by default if there are no HTTP functions, or if only this machine reaches them",
    )
    timers: bool = Field(default=True, description="Fire timers in this process; any number of processes may")
    stop_grace: float = Field(
        default=20.0,
        ge=0,
        le=86_400,
        description="Seconds that a stop waits for what is in hand; fewer than whatever waits for this process",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port of HTTP; 0 picks a free one")


def _check_store(engine: Engine) -> None:
    if not migrate.is_current(engine):
        raise TransientError(
            "the database has not been migrated to this release: `api-exchange db upgrade` does it"
        )


class LocalStore(containers.DeclarativeContainer):
    """One machine's stores: an SQL database that is store and queue in one, and what operators do with them."""

    settings = providers.Dependency(instance_of=LocalSettings)

    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness)
    observer = providers.Singleton(TelemetryObserver)
    engine: providers.Singleton[Engine] = providers.Singleton(
        create_engine_for, settings.provided.database_url.get_secret_value.call()
    )
    queue = providers.Singleton(SqlQueue, engine, clock)
    outbox = providers.Singleton(SqlOutboxRelaySource, engine)
    tenants = providers.Singleton(SqlTenantDirectory, engine)
    units = providers.Singleton(SqlUnitOfWorkFactory, engine, queues_here=True)
    files = providers.Singleton(LocalFileSink, settings.provided.output_folder)
    eraser = providers.Singleton(SqlEraser, engine)
    retention = providers.Singleton(SqlRetentionStore, engine)
    sleeper = providers.Singleton(SystemSleeper)
    secrets = providers.Singleton(secret_source, settings.provided.secrets_folder)
    sealer = providers.Singleton(AesGcmSealer, secrets, clock)
    credentials = providers.Singleton(SqlCredentialStore, engine)
    token_store = providers.Singleton(SqlTokenStore, engine)

    operations = providers.Container(
        Operations,
        clock=clock,
        randomness=randomness,
        observer=observer,
        units=units,
        tenants=tenants,
        queues=queue,
        dead_letters=providers.Singleton(SqlDeadLetters, engine, clock),
        dead_letter_jobs=providers.Singleton(SqlDeadLetterJobs, engine),
        sleeper=sleeper,
        files=files,
        eraser=eraser,
        messages=providers.Singleton(SqlMessageReports, engine),
        errors=providers.Singleton(SqlErrorGroups, engine),
        statistics=providers.Singleton(SqlStatisticsSource, engine),
        backlog=providers.Singleton(SqlBacklog, engine),
        entities=providers.Singleton(SqlEntityReports, engine),
        credentials=credentials,
        sealer=sealer,
        tokens=token_store,
    )


class LocalContainer(LocalStore):
    """An exchange on one machine: its stores, the machine's own clock, disk and logs, and what runs on them."""

    exchange = providers.Dependency(instance_of=Exchange)
    page: providers.Dependency[Page | None] = providers.Dependency(default=providers.Object(None))

    use_cases = providers.Container(
        UseCases,
        exchange=exchange,
        clock=LocalStore.clock,
        sleeper=LocalStore.sleeper,
        randomness=LocalStore.randomness,
        observer=LocalStore.observer,
        units=LocalStore.units,
        tenants=LocalStore.tenants,
        publisher=LocalStore.queue,
        files=LocalStore.files,
        outbox=LocalStore.outbox,
        leases=providers.Singleton(SqlLeases, LocalStore.engine),
        retention=LocalStore.retention,
        eraser=LocalStore.eraser,
        credentials=LocalStore.credentials,
        sealer=LocalStore.sealer,
        requests=providers.Singleton(SqlRequestLog, LocalStore.engine),
        secrets=LocalStore.secrets,
        budgets=providers.Singleton(SqlBudgets, LocalStore.engine),
        token_store=LocalStore.token_store,
    )
    runner = providers.Singleton(
        Runner,
        exchange=exchange,
        consumer=LocalStore.queue,
        queues=LocalStore.queue,
        handler=use_cases.handler,
        chores=use_cases.chores,
        do_chore=use_cases.do_chore,
        fan_out=use_cases.fan_out,
        accept=use_cases.accept,
        calls=use_cases.calls,
        clock=LocalStore.clock,
        observer=LocalStore.observer,
        check_store=providers.Factory(partial, _check_store, LocalStore.engine),
        http=LocalStore.settings.provided.http,
        host=LocalStore.settings.provided.host,
        port=LocalStore.settings.provided.port,
        page=page,
        metrics=LocalStore.settings.provided.metrics,
        timers=LocalStore.settings.provided.timers,
        grace=providers.Factory(timedelta, seconds=LocalStore.settings.provided.stop_grace),
    )


def local_container(
    exchange: Exchange,
    settings: LocalSettings | None = None,
    *,
    observer: Observer | None = None,
    page: Page | None = None,
) -> LocalContainer:
    """The container of *exchange* on this machine, with every slot filled.

    Args:
        exchange: the application.
        settings: read from the environment if not given.
        observer: hears what happens, in place of logs, metrics and spans.
        page: the metrics that are served, if any are collected.
    """
    container = LocalContainer(
        exchange=providers.Object(exchange),
        settings=providers.Object(LocalSettings() if settings is None else settings),
        page=providers.Object(page),
    )
    if observer is not None:
        container.observer.override(providers.Object(observer))
    container.check_dependencies()
    return container


def prepared_container(
    exchange: Exchange,
    settings: LocalSettings | None = None,
    *,
    observer: Observer | None = None,
    page: Page | None = None,
) -> LocalContainer:
    """As `local_container`, with the database brought up to date and the exchange's tenants made known.

    Raises:
        TransientError: the database could not be reached.
        DeclarationError: its URL is none that the framework takes, or its schema is of another release and this
            login may not migrate it.
    """
    container = local_container(exchange, settings, observer=observer, page=page)
    engine = container.engine()
    try:
        if not migrate.is_current(engine):
            migrate.upgrade(engine)
        container.tenants().add(exchange.tenants, now=container.clock().now())
    except BaseException:
        engine.dispose()  # which the caller never gets hold of
        raise
    return container


def observe(container: LocalContainer) -> None:
    """Have the metrics of this process tell what waits in the queues of the exchange's functions, and in the outbox.

    Once a process: instruments of OpenTelemetry stay for its life.
    """
    queues = [function.input_queue for function in container.exchange().functions]
    StoreMetrics(
        container.queue(),
        container.operations.backlog(),
        container.outbox(),
        container.clock(),
        of=[*queues, *(dead_letter_queue(queue) for queue in queues)],
    ).register()
