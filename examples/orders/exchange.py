"""The example's exchange."""

from __future__ import annotations

from api_exchange_core import Exchange, RetryPolicy, Schedule, TenantFromApiKey
from examples.orders.container import OrdersContainer
from examples.orders.processors import RouteByType, TakeOrder


def declare(parts: OrdersContainer) -> Exchange:
    """The functions of the example, over *parts*."""
    exchange = Exchange(
        "orders",
        tenants=["customer-a", "customer-b"],
        # The id is identity, not content: the same order under a second id is to be noticed.
        volatile_fields={"customer_order": ["/id"], "canonical_order": ["/order_id"]},
    )
    exchange.timer("fetch-orders", Schedule.every(minutes=5), parts.fetch_orders)
    exchange.http("intake", "/orders", TakeOrder, methods=["POST"], tenant=TenantFromApiKey())
    exchange.queue("to-canonical", "orders-fetched", parts.to_canonical, retry=RetryPolicy(max_attempts=5))
    exchange.queue("route-orders", "orders-canonical", RouteByType)
    return exchange
