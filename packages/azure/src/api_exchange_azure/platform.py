"""Azure, as a platform that the command `api-exchange` works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dependency_injector import providers

from api_exchange_azure.containers import AzureParts
from api_exchange_azure.servicebus.dead_letters import ServiceBusDeadLetters
from api_exchange_azure.settings import settings_from_environment
from api_exchange_azure.storage.dead_letters import StorageQueueDeadLetters
from api_exchange_core.adapters.sql.backlog import BacklogOfQueuesElsewhere
from api_exchange_core.adapters.sql.dead_letter_jobs import SqlDeadLetterJobs
from api_exchange_core.adapters.sql.entity_reports import SqlEntityReports
from api_exchange_core.adapters.sql.error_groups import SqlErrorGroups
from api_exchange_core.adapters.sql.message_reports import SqlMessageReports
from api_exchange_core.adapters.sql.statistics import SqlStatisticsSource
from api_exchange_core.containers.operations import Operations
from api_exchange_core.ports.dead_letters import DeadLetters


class AzureStore(AzureParts):
    """A deployment on Azure as operators see it."""

    letters_in_service_bus = providers.Singleton(
        ServiceBusDeadLetters,
        AzureParts.senders,
        AzureParts.sleeper,
        session_queues=AzureParts.settings.provided.session_queues,
        claims=AzureParts.claims,
    )
    letters_in_storage = providers.Singleton(
        StorageQueueDeadLetters, AzureParts.storage_queues, AzureParts.sleeper, AzureParts.claims
    )
    dead_letters: providers.Selector[DeadLetters] = providers.Selector(
        AzureParts.settings.provided.queues, servicebus=letters_in_service_bus, storage=letters_in_storage
    )

    operations = providers.Container(
        Operations,
        clock=AzureParts.clock,
        randomness=AzureParts.randomness,
        observer=AzureParts.observer,
        units=AzureParts.units,
        tenants=AzureParts.tenants,
        queues=AzureParts.inspector,
        dead_letters=dead_letters,
        dead_letter_jobs=providers.Singleton(SqlDeadLetterJobs, AzureParts.engine),
        sleeper=AzureParts.sleeper,
        files=AzureParts.files,
        eraser=AzureParts.eraser,
        messages=providers.Singleton(SqlMessageReports, AzureParts.engine),
        errors=providers.Singleton(SqlErrorGroups, AzureParts.engine),
        statistics=providers.Singleton(SqlStatisticsSource, AzureParts.engine),
        backlog=providers.Singleton(BacklogOfQueuesElsewhere, AzureParts.engine, AzureParts.inspector),
        entities=providers.Singleton(SqlEntityReports, AzureParts.engine),
        credentials=AzureParts.credentials,
        sealer=AzureParts.sealer,
        tokens=AzureParts.token_store,
    )


@contextmanager
def store(database_url: str | None) -> Iterator[AzureStore]:
    """The stores that the environment tells of.

    Args:
        database_url: of the database, in place of the environment's.

    Raises:
        DeclarationError: a setting is missing or wrong; says which, and no value.
    """
    opened = AzureStore(settings=providers.Object(settings_from_environment(database_url)))
    engine = opened.engine()
    try:
        yield opened
    finally:
        engine.dispose()
        if opened.settings().queues == "servicebus":
            opened.letters_in_service_bus().close()
            opened.service_bus().close()
