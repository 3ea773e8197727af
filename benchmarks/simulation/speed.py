"""What a schedule costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import httpx
from dependency_injector import providers
from pydantic_core import to_json

from api_exchange_core import Exchange
from api_exchange_core.http import ApiClient
from api_exchange_testing import Simulation, explore
from benchmarks.measuring import Row, show
from benchmarks.simulation.workshop import two_ticks, workshop
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
from examples.orders.models import JsonObject

SCHEDULES = 100

ORDERS: Sequence[JsonObject] = [
    {"id": f"o-{n}", "customer": "7", "placed_on": "1998-07-01", "cds": n, "total": "9.99", "currency": "USD"}
    for n in (1, 2, 6)
]


def shelf(page: Sequence[JsonObject]) -> httpx.MockTransport:
    """Stands in for the shop's API: one page."""
    content = to_json({"orders": page, "next_cursor": None})
    return httpx.MockTransport(
        lambda _: httpx.Response(200, content=content, headers={"Content-Type": "application/json"})
    )


def orders(page: Sequence[JsonObject] = ORDERS) -> Exchange:
    """The orders example over a shop in memory that has one *page* and asks for no token."""
    parts = OrdersContainer(shop_url="http://shop.example")
    client = ApiClient("shop", base_url=parts.shop_url(), transport=shelf(page))
    parts.shop.override(providers.Object(client))
    return declare(parts)


def smallest() -> Exchange:
    """The whole trip of two orders of one tenant."""
    exchange = orders(ORDERS[:2])
    exchange.tenants = exchange.tenants[:1]
    return exchange


def one_tick(simulation: Simulation) -> None:
    """One tick: each tenant's page is fetched, and each of its orders transformed and routed."""
    simulation.tick("fetch-orders")


def speed(
    exchange: Exchange, scenario: Callable[[Simulation], object], *, schedules: int, instances: int
) -> tuple[float, float]:
    """The median seconds of CPU of a schedule, and how many steps one has on average."""
    seconds, steps = [], 0
    for seed in range(-10, schedules):
        began = time.process_time()
        taken = explore(exchange, scenario, schedules=1, seed=abs(seed), instances=instances)
        if seed >= 0:  # those before are for warming up
            seconds.append(time.process_time() - began)
            steps += taken
    return median(seconds), steps / schedules


def measure(*, schedules: int) -> list[Row]:
    """Schedules and steps a second of CPU on one core."""
    rows = []
    scenarios: Sequence[tuple[str, Exchange, Callable[[Simulation], object]]] = (
        ("orders, the smallest trip", smallest(), one_tick),
        ("orders", orders(), one_tick),
        ("workshop", workshop(), two_ticks),
    )
    for name, exchange, scenario in scenarios:
        for instances in (1, 3):
            each, steps = speed(exchange, scenario, schedules=schedules, instances=instances)
            title = f"{name}, {instances} instances, {steps:.0f} steps"
            rows += [Row(title, 1 / each, "schedules/s"), Row("", steps / each, "steps/s")]
    return rows


def main(schedules: int = SCHEDULES) -> None:
    """Print the report."""
    show("Simulated schedules, medians of CPU time on one core", measure(schedules=schedules))
