"""How an application is tested: properties of its processors, the whole of it in memory, and what faults do to it.

Copy this file and change the names: none of it needs a database, a queue or a network.
"""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from dependency_injector import providers
from hypothesis import given

from api_exchange_core import Exchange, Message
from api_exchange_core.domain.names import QueueName
from api_exchange_core.http import ApiClient
from api_exchange_testing import Harness, assert_idempotent
from api_exchange_testing.simulation import Simulation, explore
from api_exchange_testing.strategies import entity_references, messages, payloads_of
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
from examples.orders.mapping import ShopOrderMapper
from examples.orders.models import CanonicalOrder, JsonObject, ShopOrder
from examples.orders.processors import RouteByType, TakeOrder, ToCanonical

ORDERS: Sequence[JsonObject] = [
    {"id": "o-1", "customer": "7", "placed_on": "1998-07-01", "cds": 6, "total": "80.10", "currency": "USD"},
    {"id": "o-2", "customer": "7", "placed_on": "1998-07-02", "cds": 1, "total": "9.99", "currency": "USD"},
    {"id": "o-3", "customer": "9", "placed_on": "1998-07-02", "cds": 1, "total": "0.00", "currency": "USD"},
]
PAGE = 2
OUTPUTS = [QueueName(name) for name in ("express-orders", "standard-orders", "unknown-orders")]


def shelf(request: httpx.Request) -> httpx.Response:
    """Stands in for the shop's API."""
    start = int(request.url.params.get("cursor", 0))
    end = start + PAGE
    return httpx.Response(
        200, json={"orders": ORDERS[start:end], "next_cursor": str(end) if end < len(ORDERS) else None}
    )


def orders() -> Exchange:
    parts = OrdersContainer(shop_url="http://shop.example")
    client = ApiClient("shop", base_url=parts.shop_url(), transport=httpx.MockTransport(shelf))
    parts.shop.override(providers.Object(client))
    return declare(parts)


# Properties of one processor: three lines each.


@given(messages(payload=payloads_of(ShopOrder), entity=entity_references()))
def test_a_transformed_order_may_be_transformed_again(message: Message) -> None:
    assert_idempotent(ToCanonical(ShopOrderMapper()), message)


@given(messages(payload=payloads_of(ShopOrder)))
def test_an_order_may_be_posted_twice(message: Message) -> None:
    assert_idempotent(TakeOrder, message)


@given(messages(payload=payloads_of(CanonicalOrder)))
def test_an_order_is_routed_the_same_way_each_time(message: Message) -> None:
    assert_idempotent(RouteByType, message)


# The whole application, in memory.


def test_every_order_arrives_where_it_belongs() -> None:
    harness = Harness(orders())
    harness.tick("fetch-orders")
    harness.run()
    assert [len(harness.queue(name)) for name in OUTPUTS] == [2, 2, 2]  # each order for two tenants
    assert harness.counts["fetch-orders"] == {"completed": 4}  # and two pages
    assert harness.dead_letters() == []


# The whole application on three instances, while processes die, answers get lost, and messages come twice and late.


def all_orders_arrive(simulation: Simulation) -> str | None:
    arrived = [message for name in OUTPUTS for message in simulation.sent(name)]
    return None if len(arrived) == 2 * len(ORDERS) else f"{len(arrived)} orders arrived"


def fetch_twice(simulation: Simulation) -> None:
    simulation.tick("fetch-orders")
    simulation.tick("fetch-orders")
    simulation.invariant(all_orders_arrive)


def test_no_order_is_lost_or_doubled_whatever_goes_wrong() -> None:
    explore(orders, fetch_twice, schedules=50, instances=3)
