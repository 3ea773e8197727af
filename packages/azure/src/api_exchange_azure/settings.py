"""The settings of an exchange on Azure."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api_exchange_core.containers.wrong_settings import wrong_settings
from api_exchange_core.domain.names import QueueName, queue_name

SERVICE_BUS: Final = "API_EXCHANGE_SERVICE_BUS"
"""The connection that triggers of Service Bus name: an app setting, or what several begin with."""
STORAGE: Final = "API_EXCHANGE_STORAGE"
"""The same for triggers of Storage Queues."""


def _of_connection(connection: str, setting: str) -> AliasChoices:
    """Where the Functions host looks for *setting* of an identity-based connection, and so do we."""
    return AliasChoices(f"{connection}__{setting}", f"{connection}__{setting}".upper())


class AzureSettings(BaseSettings):
    """Each from an environment variable ``API_EXCHANGE_<NAME>``, which an app setting is."""

    model_config = SettingsConfigDict(env_prefix="API_EXCHANGE_", frozen=True, populate_by_name=True)

    database_url: SecretStr | None = Field(default=None, description="postgresql://USER:PASSWORD@HOST/NAME")
    database_url_secret: str | None = Field(
        default=None, description="Name of the secret in Key Vault that holds the URL, in its place"
    )
    database_identity: bool = Field(
        default=False,
        description="The database knows this app by its managed identity (Entra): the URL has no password, and a "
        "token is asked for with each connection",
    )
    key_vault: str | None = Field(
        default=None,
        description="https://NAME.vault.azure.net, where secrets are; else they are app settings",
    )
    service_bus: SecretStr | None = Field(default=None, description="Connection string of the namespace")
    service_bus_namespace: str | None = Field(
        default=None,
        validation_alias=_of_connection(SERVICE_BUS, "fullyQualifiedNamespace"),
        description="NAME.servicebus.windows.net, in its place, for the app's managed identity",
    )
    session_queues: Annotated[frozenset[QueueName], NoDecode] = Field(
        default=frozenset(), description="Queues that require sessions, with commas between: they keep order"
    )
    storage: SecretStr | None = Field(default=None, description="Connection string of the storage account")
    queue_service_uri: str | None = Field(
        default=None,
        validation_alias=_of_connection(STORAGE, "queueServiceUri"),
        description="https://NAME.queue.core.windows.net, in its place, for the app's managed identity",
    )
    blob_service_uri: str | None = Field(
        default=None,
        validation_alias=_of_connection(STORAGE, "blobServiceUri"),
        description="https://NAME.blob.core.windows.net, the same for contents of large messages",
    )
    table_service_uri: str | None = Field(
        default=None,
        validation_alias=_of_connection(STORAGE, "tableServiceUri"),
        description="https://NAME.table.core.windows.net, the same for tokens",
    )
    token_table: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9]{2,62}$",
        description="Table of the storage account that keeps tokens; without it they are in the database",
    )
    queues: Literal["servicebus", "storage"] = Field(
        default="servicebus", description="Which service the queues of the exchange are in"
    )
    payload_container: str = Field(
        default="api-exchange-payloads",
        pattern=r"^[a-z0-9](?:-?[a-z0-9]){2,62}$",
        description="Blob container of contents that are too large for a queue",
    )
    message_limit: int = Field(
        default=192 * 1024,
        ge=16 * 1024,
        le=1024 * 1024,
        description="Bytes of the largest message that Service Bus carries whole; the Standard tier takes 256 KiB",
    )
    queue_prefix: str = Field(
        default="",
        pattern=r"^(?:[a-z0-9][a-z0-9-]{0,11})?$",
        description="What the names of this deployment's queues begin with",
    )
    output_folder: Path | None = Field(
        default=None, description="Where FileOutputHandler keeps its files: a mounted share that lasts"
    )
    reserve: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Seconds before its timeout from which a function begins nothing more; a fifth of it at most",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level of what is logged"
    )
    poll_wait: float = Field(
        default=5.0, gt=0, le=60, description="Seconds that a receive may wait for messages, in a container"
    )

    @field_validator("session_queues", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return frozenset(queue_name(one.strip()) for one in value.split(",") if one.strip())

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.database_url is None) == (self.database_url_secret is None):
            raise ValueError("set one of API_EXCHANGE_DATABASE_URL and API_EXCHANGE_DATABASE_URL_SECRET")
        if self.database_url_secret is not None and self.key_vault is None:
            raise ValueError(
                "API_EXCHANGE_DATABASE_URL_SECRET is a secret of API_EXCHANGE_KEY_VAULT: set that too"
            )
        if self.queues == "servicebus" and (self.service_bus is None) == (self.service_bus_namespace is None):
            raise ValueError(f"set one of {SERVICE_BUS} and {SERVICE_BUS}__fullyQualifiedNamespace")
        if self.queues == "storage" and (self.storage is None) == (self.queue_service_uri is None):
            raise ValueError(f"set one of {STORAGE} and {STORAGE}__queueServiceUri")
        if self.token_table is not None and self.storage is None and self.table_service_uri is None:
            raise ValueError(f"API_EXCHANGE_TOKEN_TABLE: set one of {STORAGE} and {STORAGE}__tableServiceUri")
        return self

    @property
    def has_blobs(self) -> bool:
        """Whether there is a place for contents of large messages."""
        return self.storage is not None or self.blob_service_uri is not None

    @property
    def reserved(self) -> timedelta:
        """`reserve` as a time."""
        return timedelta(seconds=self.reserve)


def settings_from_environment(database_url: str | None = None) -> AzureSettings:
    """The settings of this process.

    Args:
        database_url: takes the place of what the environment says of the database.

    Raises:
        DeclarationError: one is missing or wrong; says which, and no value.
    """
    try:
        if database_url is not None:
            return AzureSettings(database_url=SecretStr(database_url), database_url_secret=None)
        return AzureSettings()
    except ValidationError as error:
        raise wrong_settings(error) from None
