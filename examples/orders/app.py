"""The example on its own, over the shop that the environment names.

With the shop's API running (``python -m examples.orders.vendor`` prints address and folder):

    export ORDERS_SHOP_URL=http://127.0.0.1:PORT ORDERS_CREDENTIALS=FOLDER
    api-exchange run examples.orders.app:exchange
"""

from __future__ import annotations

from dependency_injector import providers

from examples.orders.container import OrdersContainer, OrdersSettings, accounts_in
from examples.orders.exchange import declare

_settings = OrdersSettings()

exchange = declare(
    OrdersContainer(
        shop_url=providers.Object(_settings.shop_url),
        accounts=providers.Object(accounts_in(_settings.credentials)),
    )
)
