"""The example's own container: its processors and what they need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from dependency_injector import containers, providers
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api_exchange_core import DeclarationError, current_tenant
from examples.orders.client import ShopClient, ShopClients
from examples.orders.mapping import ShopOrderMapper
from examples.orders.processors import FetchOrders, ToCanonical


class OrdersSettings(BaseSettings):
    """Where the shop is, each from an environment variable ``ORDERS_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="ORDERS_", frozen=True)

    shop_url: str = Field(description="address of the shop's API")
    credentials: Path = Field(description="folder with one file <tenant>.json an account")


class ShopAccount(BaseModel):
    """How a tenant signs in to the shop."""

    client_id: str
    client_secret: SecretStr


def accounts_in(folder: Path) -> dict[str, ShopAccount]:
    """The accounts whose credentials lie in *folder*, by tenant.

    Raises:
        DeclarationError: there are none.
    """
    accounts = {
        file.stem: ShopAccount.model_validate_json(file.read_bytes()) for file in folder.glob("*.json")
    }
    if not accounts:
        raise DeclarationError(f"no credentials in {str(folder)!r}: put <tenant>.json files there")
    return accounts


def shop_clients(url: str, accounts: dict[str, ShopAccount]) -> Iterator[ShopClients]:
    """The shop for whichever tenant is at work; its connections are closed with the container's resources."""
    with ExitStack() as connections:
        clients = {
            tenant: connections.enter_context(
                ShopClient(url, account.client_id, account.client_secret.get_secret_value())
            )
            for tenant, account in accounts.items()
        }
        yield ShopClients(clients, current_tenant)


class OrdersContainer(containers.DeclarativeContainer):
    """Makes the processors. *accounts* are the shop's, by tenant."""

    shop_url = providers.Dependency(instance_of=str)
    accounts = providers.Dependency(instance_of=dict)

    shop = providers.Resource(shop_clients, shop_url, accounts)
    mapper = providers.Singleton(ShopOrderMapper)
    fetch_orders = providers.Factory(FetchOrders, api_client=shop)
    to_canonical = providers.Factory(ToCanonical, mapper=mapper)
