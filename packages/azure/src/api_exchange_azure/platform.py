"""Azure, as a platform that the command `api-exchange` works on."""

from __future__ import annotations

from dependency_injector import providers

from api_exchange_azure.containers import AzureStore
from api_exchange_azure.settings import settings_from_environment


def store(database_url: str | None) -> AzureStore:
    """The stores that the environment tells of.

    Args:
        database_url: of the database, in place of the environment's.

    Raises:
        DeclarationError: a setting is missing or wrong; says which, and no value.
    """
    return AzureStore(settings=providers.Object(settings_from_environment(database_url)))
