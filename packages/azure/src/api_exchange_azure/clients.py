"""Clients of Azure: with a connection string where there is one, else with the identity of whoever runs this.

`azure.identity.DefaultAzureCredential` finds that: a managed identity in Azure, a login of `az` on a laptop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api_exchange_azure.settings import AzureSettings
from api_exchange_core.domain.errors import DeclarationError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableClient
    from azure.keyvault.secrets import SecretClient
    from azure.servicebus import ServiceBusClient
    from azure.servicebus.management import ServiceBusAdministrationClient
    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueServiceClient

_AGENT: Final = "api-exchange"


def service_bus_client(settings: AzureSettings) -> ServiceBusClient:
    """A client of Service Bus.

    Raises:
        DeclarationError: the connection string is none.
    """
    from azure.servicebus import ServiceBusClient

    if settings.service_bus is None:
        namespace = _given(settings.service_bus_namespace, "Service Bus")
        return ServiceBusClient(namespace, credential(), user_agent=_AGENT)
    try:
        return ServiceBusClient.from_connection_string(
            settings.service_bus.get_secret_value(), user_agent=_AGENT
        )
    except ValueError:
        raise _malformed("API_EXCHANGE_SERVICE_BUS") from None  # the error may quote the key


def service_bus_administration_client(settings: AzureSettings) -> ServiceBusAdministrationClient:
    """A client that counts messages; errors as of `service_bus_client`."""
    from azure.servicebus.management import ServiceBusAdministrationClient

    if settings.service_bus is None:
        namespace = _given(settings.service_bus_namespace, "Service Bus")
        return ServiceBusAdministrationClient(namespace, credential())
    try:
        return ServiceBusAdministrationClient.from_connection_string(settings.service_bus.get_secret_value())
    except ValueError:
        raise _malformed("API_EXCHANGE_SERVICE_BUS") from None


def queue_service_client(settings: AzureSettings) -> QueueServiceClient:
    """A client of Storage Queues; errors as of `service_bus_client`."""
    from azure.storage.queue import QueueServiceClient

    if settings.storage is None:
        url = _given(settings.queue_service_uri, "Storage Queues")
        return QueueServiceClient(url, credential=credential(), user_agent=_AGENT)
    try:
        return QueueServiceClient.from_connection_string(
            settings.storage.get_secret_value(), user_agent=_AGENT
        )
    except ValueError:
        raise _malformed("API_EXCHANGE_STORAGE") from None


def payload_container_client(settings: AzureSettings) -> ContainerClient:
    """A client of the blob container with contents of large messages; errors as of `service_bus_client`."""
    from azure.storage.blob import BlobServiceClient

    if settings.storage is None:
        url = _given(settings.blob_service_uri, "Blob Storage")
        blobs = BlobServiceClient(url, credential=credential(), user_agent=_AGENT)
        return blobs.get_container_client(settings.payload_container)
    try:
        blobs = BlobServiceClient.from_connection_string(
            settings.storage.get_secret_value(), user_agent=_AGENT
        )
    except ValueError:
        raise _malformed("API_EXCHANGE_STORAGE") from None
    return blobs.get_container_client(settings.payload_container)


def token_table_client(settings: AzureSettings, name: str) -> TableClient:
    """A client of the table *name*; errors as of `service_bus_client`.

    It tries again less often than by default, for callers wait for each other's tokens.
    """
    from azure.data.tables import TableClient

    patience: dict[str, Any] = {
        "retry_total": 3,
        "retry_backoff_factor": 0.2,
        "retry_backoff_max": 2,
        "connection_timeout": 5,
        "read_timeout": 10,
        "user_agent": _AGENT,
    }
    if settings.storage is None:
        url = _given(settings.table_service_uri, "Table Storage")
        return TableClient(url, name, credential=credential(), **patience)
    try:
        return TableClient.from_connection_string(settings.storage.get_secret_value(), name, **patience)
    except ValueError:
        raise _malformed("API_EXCHANGE_STORAGE") from None


def secret_client(settings: AzureSettings) -> SecretClient:
    """A client of Key Vault.

    Raises:
        DeclarationError: no vault is set.
    """
    from azure.keyvault.secrets import SecretClient

    return SecretClient(_given(settings.key_vault, "Key Vault"), credential())


def credential() -> TokenCredential:
    """The identity of whoever runs this."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def _given(place: str | None, service: str) -> str:
    if place is None:
        raise DeclarationError(f"{service} is needed, and no setting says where it is: see AzureSettings")
    return place


def _malformed(variable: str) -> DeclarationError:
    return DeclarationError(f"{variable} is no connection string: copy it from the portal as it is")
