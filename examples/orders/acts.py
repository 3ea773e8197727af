"""The three acts of the demos: all orders for the first time, all of them again, and again after one has changed.

They are played in the same way wherever the exchange is deployed, so that what they come to can be compared.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

from rich.console import Console

from api_exchange_core import Exchange, tenant_context
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.containers.use_cases import UseCases
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
from examples.orders.story import Act, Story, entities, keep_accounts, suspected
from examples.orders.tally import Tally
from examples.orders.vendor import VendorApi

CHANGED_ORDER: Final = "cdnow-000001"
_GIVE_UP_AFTER: Final = 600.0  # seconds an act


class Deployment(Protocol):
    """The exchange where it is deployed, and what starts its functions there."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where that is, for the reader of the demo."""

    @property
    @abstractmethod
    def use_cases(self) -> UseCases:
        """What its functions call."""

    @property
    @abstractmethod
    def keep_credentials(self) -> KeepCredentials:
        """What an operator sets accounts of tenants by."""

    @abstractmethod
    def fire(self, name: str) -> None:
        """Let the timer function called *name* go off, at another time of its schedule than before."""

    @abstractmethod
    def run(self) -> Iterator[None]:
        """Handle messages until none waits; yield every now and then."""

    @abstractmethod
    def depths(self) -> Mapping[str, int]:
        """How many messages lie in each queue that has any."""


Deploy = Callable[[Exchange, Tally], AbstractContextManager[Deployment]]
"""Deploys an exchange for the length of a block; the tally hears what happens."""


def play(deploy: Deploy, console: Console) -> Story:
    """Deploy the example, and run the three acts over it."""
    with VendorApi() as vendor:
        parts = OrdersContainer(shop_url=vendor.url)
        exchange, tally = declare(parts), Tally()
        with parts.shop() as shop, deploy(exchange, tally) as deployed:
            console.print(deployed.place)
            console.print(f"The shop's API answers at {vendor.url}: OAuth2, 500 orders a page.")
            keep_accounts(deployed.keep_credentials, vendor, exchange.tenants)
            first = _act(console, deployed, tally, "1. All orders")
            again = _act(console, deployed, tally, "2. All orders again")
            with deployed.use_cases.services().at_work(), tenant_context("customer-a"):
                shop.patch(f"/v1/orders/{CHANGED_ORDER}", json={"cds": 7})
            changed = _act(console, deployed, tally, f"3. Again, order {CHANGED_ORDER} changed")
            return Story(
                tenants=exchange.tenants,
                first=first,
                again=again,
                changed=changed,
                entities=entities(exchange, deployed.use_cases.entity_service()),
                suspected=suspected(exchange, deployed.use_cases.entity_service()),
                queues=deployed.depths(),
            )


def _act(console: Console, deployed: Deployment, tally: Tally, title: str) -> Act:
    """Fire the timer, and show progress until nothing waits any more."""
    counts = tally.begin()
    started = time.monotonic()
    deployed.fire("fetch-orders")
    with console.status(title) as status:
        for _ in deployed.run():
            if time.monotonic() - started > _GIVE_UP_AFTER:
                raise TimeoutError(f"{title}: messages still wait after {_GIVE_UP_AFTER:.0f} s")
            status.update(
                f"{title}: {counts.orders_fetched.total():,} orders fetched, "
                f"{counts.messages.total():,} messages handled"
            )
    act = Act(counts, time.monotonic() - started)
    console.print(
        f"{title}: {counts.orders_fetched.total():,} fetched, "
        f"{counts.messages.total():,} messages in {act.seconds:.1f} s"
    )
    return act
