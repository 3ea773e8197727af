"""The adapters of Azure, and an SQL database, under the use cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dependency_injector import containers, providers

from api_exchange_azure.clients import (
    credential,
    payload_container_client,
    queue_service_client,
    secret_client,
    service_bus_administration_client,
    service_bus_client,
    token_table_client,
)
from api_exchange_azure.database_password import EntraDatabasePassword
from api_exchange_azure.secrets import KeyVaultSecrets
from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.copies import ServiceBusCopies
from api_exchange_azure.servicebus.inspector import ServiceBusQueueInspector
from api_exchange_azure.servicebus.publisher import ServiceBusMessagePublisher
from api_exchange_azure.servicebus.senders import Senders
from api_exchange_azure.settings import AzureSettings, settings_from_environment
from api_exchange_azure.storage.consumer import StorageQueueConsumer
from api_exchange_azure.storage.copies import StorageCopies
from api_exchange_azure.storage.inspector import StorageQueueInspector
from api_exchange_azure.storage.payload_store import BlobPayloadStore
from api_exchange_azure.storage.publisher import StorageQueuePublisher
from api_exchange_azure.storage.queues import StorageQueues
from api_exchange_azure.storage.wire import MAX_BODY, NOTES_ROOM
from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.adapters.crypto.aes_gcm import AesGcmSealer
from api_exchange_core.adapters.erasure.apart import LARGE_CONTENTS, ErasesApartToo
from api_exchange_core.adapters.files.file_sink import LocalFileSink
from api_exchange_core.adapters.files.no_files import NoFiles
from api_exchange_core.adapters.sql.budgets import SqlBudgets
from api_exchange_core.adapters.sql.credential_store import SqlCredentialStore
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.eraser import SqlEraser
from api_exchange_core.adapters.sql.leases import SqlLeases
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.postgres_engine import MakePassword
from api_exchange_core.adapters.sql.request_log import SqlRequestLog
from api_exchange_core.adapters.sql.retention_store import SqlRetentionStore
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.adapters.system.secret_source import EnvironmentSecretSource
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.adapters.telemetry.observers import TelemetryObserver
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.erasure import Eraser, HeldApart
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.payload_store import PayloadStore
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.secret_source import SecretSource
from api_exchange_core.ports.sleeper import Sleeper

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from api_exchange_azure.tables.token_store import TableTokenStore


_NO_FILES: Final = "set API_EXCHANGE_OUTPUT_FOLDER to a file system that lasts and is mounted (Azure Files)"


def _engine(
    settings: AzureSettings, secrets: Callable[[], SecretSource], password: Callable[[], MakePassword]
) -> Engine:
    made = password() if settings.database_identity else None
    if settings.database_url is not None:
        return create_engine_for(settings.database_url.get_secret_value(), password=made)
    url = secrets().secret(settings.database_url_secret or "").decode().strip()
    return create_engine_for(url, password=made)


def _secrets(settings: AzureSettings) -> SecretSource:
    return (
        EnvironmentSecretSource() if settings.key_vault is None else KeyVaultSecrets(secret_client(settings))
    )


def _token_store(
    settings: AzureSettings,
    engine: Callable[[], Engine],
    clock: Clock,
    sleeper: Sleeper,
    randomness: Randomness,
) -> SqlTokenStore | TableTokenStore:
    """In a table of their own, if there is one: it takes more instances at once than a database has connections."""
    if settings.token_table is None:
        return SqlTokenStore(engine())
    from api_exchange_azure.tables.token_store import TableTokenStore
    from api_exchange_azure.tables.token_table import TokenTable

    table = TokenTable(token_table_client(settings, settings.token_table))
    return TableTokenStore(table, clock, sleeper, randomness)


def _eraser(engine: Engine, tokens: SqlTokenStore | TableTokenStore, claims: ClaimCheck | None) -> Eraser:
    apart: dict[str, HeldApart] = {}
    if not isinstance(tokens, SqlTokenStore):
        apart[tokens.table.name] = tokens
    if claims is not None:
        apart[LARGE_CONTENTS] = claims.store
    return ErasesApartToo(SqlEraser(engine), apart)


def _files(folder: Path | None) -> FileSink:
    return NoFiles(_NO_FILES) if folder is None else LocalFileSink(folder)


def _claims(settings: AzureSettings, payloads: Callable[[], PayloadStore]) -> ClaimCheck | None:
    if not settings.has_blobs:
        return None
    limit = settings.message_limit if settings.queues == "servicebus" else MAX_BODY - NOTES_ROOM
    return ClaimCheck(payloads(), limit)


def _publisher(publisher: MessagePublisher, claims: ClaimCheck | None) -> MessagePublisher:
    return publisher if claims is None else ClaimCheckPublisher(publisher, claims)


def _consumer(consumer: MessageConsumer, claims: ClaimCheck | None) -> MessageConsumer:
    return consumer if claims is None else ClaimCheckConsumer(consumer, claims)


class AzureParts(containers.DeclarativeContainer):
    """What a deployment on Azure is made of: messages in Service Bus or Storage Queues, everything else in PostgreSQL.

    Tokens are in Table Storage if a table is named. Nothing connects or asks for a secret before it is used.
    """

    settings = providers.Dependency(instance_of=AzureSettings)

    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness)
    sleeper = providers.Singleton(SystemSleeper)
    observer: providers.Singleton[Observer] = providers.Singleton(TelemetryObserver)

    secrets: providers.Singleton[SecretSource] = providers.Singleton(_secrets, settings)
    database_password = providers.Singleton(EntraDatabasePassword, providers.Singleton(credential))
    engine: providers.Singleton[Engine] = providers.Singleton(
        _engine, settings, secrets.provider, database_password.provider
    )
    sealer = providers.Singleton(AesGcmSealer, secrets, clock)
    outbox = providers.Singleton(SqlOutboxRelaySource, engine)
    tenants = providers.Singleton(SqlTenantDirectory, engine)
    units = providers.Singleton(SqlUnitOfWorkFactory, engine, queues_here=False)
    retention = providers.Singleton(SqlRetentionStore, engine)
    credentials = providers.Singleton(SqlCredentialStore, engine)
    leases = providers.Singleton(SqlLeases, engine)
    token_store = providers.Singleton(_token_store, settings, engine.provider, clock, sleeper, randomness)
    files = providers.Singleton(_files, settings.provided.output_folder)

    payloads: providers.Singleton[PayloadStore] = providers.Singleton(
        BlobPayloadStore, providers.Singleton(payload_container_client, settings)
    )
    claims: providers.Singleton[ClaimCheck | None] = providers.Singleton(_claims, settings, payloads.provider)
    eraser = providers.Singleton(_eraser, engine, token_store, claims)

    service_bus = providers.Singleton(service_bus_client, settings)
    senders = providers.Singleton(Senders, service_bus, settings.provided.queue_prefix)
    service_bus_copies = providers.Singleton(
        ServiceBusCopies, senders, clock, settings.provided.session_queues
    )

    queue_service = providers.Singleton(queue_service_client, settings)
    storage_queues = providers.Singleton(StorageQueues, queue_service, settings.provided.queue_prefix)
    storage_copies = providers.Singleton(StorageCopies, storage_queues)

    inspector = providers.Selector(
        settings.provided.queues,
        servicebus=providers.Singleton(
            ServiceBusQueueInspector,
            providers.Singleton(service_bus_administration_client, settings),
            settings.provided.queue_prefix,
        ),
        storage=providers.Singleton(StorageQueueInspector, storage_queues),
    )


class AzureContainer(AzureParts):
    """An exchange on Azure: its stores, and what runs on them."""

    exchange = providers.Dependency(instance_of=Exchange)

    copies = providers.Selector(
        AzureParts.settings.provided.queues,
        servicebus=AzureParts.service_bus_copies,
        storage=AzureParts.storage_copies,
    )
    publisher: providers.Singleton[MessagePublisher] = providers.Singleton(
        _publisher,
        providers.Selector(
            AzureParts.settings.provided.queues,
            servicebus=providers.Singleton(
                ServiceBusMessagePublisher,
                AzureParts.senders,
                AzureParts.clock,
                AzureParts.settings.provided.session_queues,
            ),
            storage=providers.Singleton(StorageQueuePublisher, AzureParts.storage_queues),
        ),
        AzureParts.claims,
    )
    consumer: providers.Singleton[MessageConsumer] = providers.Singleton(
        _consumer,
        providers.Selector(
            AzureParts.settings.provided.queues,
            servicebus=providers.Singleton(
                ServiceBusMessageConsumer,
                AzureParts.service_bus,
                AzureParts.service_bus_copies,
                AzureParts.clock,
                prefix=AzureParts.settings.provided.queue_prefix,
                session_queues=AzureParts.settings.provided.session_queues,
                wait=providers.Factory(timedelta, seconds=AzureParts.settings.provided.poll_wait),
            ),
            storage=providers.Singleton(
                StorageQueueConsumer, AzureParts.storage_queues, AzureParts.storage_copies, AzureParts.clock
            ),
        ),
        AzureParts.claims,
    )
    use_cases = providers.Container(
        UseCases,
        exchange=exchange,
        clock=AzureParts.clock,
        randomness=AzureParts.randomness,
        observer=AzureParts.observer,
        sleeper=AzureParts.sleeper,
        units=AzureParts.units,
        tenants=AzureParts.tenants,
        publisher=publisher,
        files=AzureParts.files,
        outbox=AzureParts.outbox,
        leases=AzureParts.leases,
        retention=AzureParts.retention,
        eraser=AzureParts.eraser,
        credentials=AzureParts.credentials,
        sealer=AzureParts.sealer,
        requests=providers.Singleton(SqlRequestLog, AzureParts.engine),
        secrets=AzureParts.secrets,
        budgets=providers.Singleton(SqlBudgets, AzureParts.engine),
        token_store=AzureParts.token_store,
    )


def azure_container(
    exchange: Exchange, settings: AzureSettings | None = None, *, observer: Observer | None = None
) -> AzureContainer:
    """The container of *exchange* on Azure, with every slot filled.

    Args:
        exchange: the application.
        settings: read from the environment if not given.
        observer: hears what happens, in place of logs, metrics and spans.

    Raises:
        DeclarationError: a setting is missing or wrong.
    """
    container = AzureContainer(
        exchange=providers.Object(exchange),
        settings=providers.Object(settings_from_environment() if settings is None else settings),
    )
    if observer is not None:
        container.observer.override(providers.Object(observer))
    container.check_dependencies()
    return container
