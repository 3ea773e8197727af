"""What Lambda loads: the example examples/orders."""

from __future__ import annotations

from api_exchange_aws import create_lambda_handler
from examples.orders.app import exchange

handler = create_lambda_handler(exchange)
