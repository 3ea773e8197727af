"""The example on its own, over the shop that the environment names; the README has the steps.

api-exchange run examples.orders.app:exchange
"""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare


class OrdersSettings(BaseSettings):
    """Settings of the example, each from an environment variable ``ORDERS_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="ORDERS_", frozen=True)

    shop_url: str = Field(description="address of the shop's API")


exchange = declare(OrdersContainer(shop_url=OrdersSettings().shop_url))
