"""AWS, as a platform that the command `api-exchange` works on."""

from __future__ import annotations

from dependency_injector import providers

from api_exchange_aws.containers import AwsStore
from api_exchange_aws.settings import settings_from_environment


def store(database_url: str | None) -> AwsStore:
    """The stores that the environment tells of.

    Args:
        database_url: of the database, in place of the environment's.

    Raises:
        DeclarationError: a setting is missing or wrong; says which, and no value.
    """
    return AwsStore(settings=providers.Object(settings_from_environment(database_url)))
