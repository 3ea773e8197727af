"""The adapters of one machine under the use cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector import containers, providers
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api_exchange_core.adapters.files.file_sink import LocalFileSink
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.adapters.telemetry.observer import StructlogObserver
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.local.runner import Runner
from api_exchange_core.ports.observer import Observer

if TYPE_CHECKING:
    from sqlalchemy import Engine


class LocalSettings(BaseSettings):
    """The settings of one machine, each from an environment variable ``API_EXCHANGE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="API_EXCHANGE_", frozen=True)

    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///exchange.db"),
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
    )
    output_folder: Path = Field(default=Path("output"), description="Where FileOutputHandler keeps its files")
    host: str = Field(default="127.0.0.1", description="Address that HTTP functions are served on")
    timers: bool = Field(default=True, description="Fire timers in this process; any number of processes may")
    port: int = Field(default=8080, ge=0, le=65535, description="Port of HTTP functions; 0 picks a free one")


class LocalContainer(containers.DeclarativeContainer):
    """One machine: an SQL database that is store and queue in one, and the machine's own clock, disk and logs."""

    exchange = providers.Dependency(instance_of=Exchange)
    settings = providers.Dependency(instance_of=LocalSettings)

    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness)
    observer = providers.Singleton(StructlogObserver)
    engine: providers.Singleton[Engine] = providers.Singleton(
        create_engine_for, settings.provided.database_url.get_secret_value.call()
    )
    queue = providers.Singleton(SqlQueue, engine, clock)
    tenants = providers.Singleton(SqlTenantDirectory, engine)

    use_cases = providers.Container(
        UseCases,
        exchange=exchange,
        clock=clock,
        randomness=randomness,
        observer=observer,
        units=providers.Singleton(SqlUnitOfWorkFactory, engine, queues_here=True),
        tenants=tenants,
        publisher=queue,
        files=providers.Singleton(LocalFileSink, settings.provided.output_folder),
        outbox=providers.Singleton(SqlOutboxRelaySource, engine),
    )
    runner = providers.Singleton(
        Runner,
        exchange=exchange,
        consumer=queue,
        queues=queue,
        handler=use_cases.handler,
        relay=use_cases.relay,
        fan_out=use_cases.fan_out,
        accept=use_cases.accept,
        calls=use_cases.calls,
        clock=clock,
        observer=observer,
        host=settings.provided.host,
        port=settings.provided.port,
        timers=settings.provided.timers,
    )


def local_container(
    exchange: Exchange, settings: LocalSettings | None = None, *, observer: Observer | None = None
) -> LocalContainer:
    """The container of *exchange* on this machine, with every slot filled.

    Args:
        exchange: the application.
        settings: read from the environment if not given.
        observer: hears what happens, in place of the logs.
    """
    container = LocalContainer(
        exchange=providers.Object(exchange),
        settings=providers.Object(LocalSettings() if settings is None else settings),
    )
    if observer is not None:
        container.observer.override(providers.Object(observer))
    container.check_dependencies()
    return container


def prepared_container(
    exchange: Exchange, settings: LocalSettings | None = None, *, observer: Observer | None = None
) -> LocalContainer:
    """As `local_container`, with the database brought up to date and the exchange's tenants made known.

    Raises:
        TransientError: the database could not be reached.
        DeclarationError: its URL is none that the framework takes, or its schema is of another release and this
            login may not migrate it.
    """
    container = local_container(exchange, settings, observer=observer)
    engine = container.engine()
    try:
        if not migrate.is_current(engine):
            migrate.upgrade(engine)
        container.tenants().add(exchange.tenants, now=container.clock().now())
    except BaseException:
        engine.dispose()  # which the caller never gets hold of
        raise
    return container
