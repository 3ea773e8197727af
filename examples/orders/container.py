"""The example's own container: its processors and what they need."""

from __future__ import annotations

from dependency_injector import containers, providers
from pydantic import BaseModel, SecretStr

from api_exchange_core import ApiCredentials, ApiTokenService
from api_exchange_core.http import ApiClient, ClientCredentials, Limits
from examples.orders.mapping import ShopOrderMapper
from examples.orders.processors import FetchOrders, ToCanonical


class ShopAccount(BaseModel):
    """How a tenant signs in to the shop: what ``api-exchange credentials set TENANT shop`` is given."""

    client_id: str
    client_secret: SecretStr


def shop_at(url: str, limits: Limits | None = None) -> ApiClient:
    """The shop's API, asked with the account of whichever tenant is at work."""
    account = ApiCredentials("shop", ShopAccount)
    tokens = ApiTokenService("shop", ClientCredentials(token_url=f"{url}/oauth/token", credentials=account))
    return ApiClient("shop", base_url=url, tokens=tokens, limits=limits)


class OrdersContainer(containers.DeclarativeContainer):
    """Makes the processors; the client of the shop is closed by whoever made the container."""

    shop_url = providers.Dependency(instance_of=str)

    shop = providers.Singleton(shop_at, shop_url)
    mapper = providers.Singleton(ShopOrderMapper)
    fetch_orders = providers.Factory(FetchOrders, shop)
    to_canonical = providers.Factory(ToCanonical, mapper)
