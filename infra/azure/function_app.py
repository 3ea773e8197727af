"""What the Functions host loads: the example examples/orders."""

from __future__ import annotations

from api_exchange_azure import create_function_app
from examples.orders.app import exchange

app = create_function_app(exchange)
