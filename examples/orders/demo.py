"""`make demo`: real orders from a vendor's API through fetch, transform and routing into queues.

Three acts over one database: all orders for the first time, all of them again, and again after one has changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector import providers
from pydantic import SecretStr
from rich.console import Console

from api_exchange_core import Exchange, tenant_context
from api_exchange_core.adapters.crypto.aes_gcm import KEYRING
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.system.secret_source import EnvironmentSecretSource
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
from examples.orders.story import Act, Story, entities, keep_accounts, suspected, table
from examples.orders.tally import Tally
from examples.orders.vendor import VendorApi

if TYPE_CHECKING:
    from api_exchange_core.local.runner import Runner

CHANGED_ORDER = "cdnow-000001"
_LOOK_EVERY = 0.1
_GIVE_UP_AFTER = 300.0


def main() -> None:
    """Play the demo and print its table."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders.demo", description=__doc__)
    parser.add_argument(
        "--database-url", help="sqlite:///FILE or postgresql://...; a fresh SQLite file if not given"
    )
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="orders-demo-") as folder:
        url = arguments.database_url or f"sqlite:///{folder}/orders.db"
        story = play(url, Path(folder), console)
    console.print(table(story))
    if story.first.counts.problems or story.again.counts.problems or story.changed.counts.problems:
        sys.exit("something went wrong on the way; the table says what")


def play(database_url: str, folder: Path, console: Console) -> Story:
    """Run the three acts over the database at *database_url*."""
    with VendorApi() as vendor:
        console.print(f"The shop's API answers at {vendor.url}: OAuth2, 500 orders a page.")
        tally = Tally()
        parts = OrdersContainer(shop_url=vendor.url)
        exchange = declare(parts)
        with parts.shop() as shop, _prepared(exchange, database_url, folder, tally) as container:
            set_accounts(container, vendor)
            runner = container.runner()
            runner.start()
            first = _act(console, runner, tally, "1. All orders")
            again = _act(console, runner, tally, "2. All orders again")
            with container.use_cases.services().at_work(), tenant_context("customer-a"):
                shop.patch(f"/v1/orders/{CHANGED_ORDER}", json={"cds": 7})
            changed = _act(console, runner, tally, f"3. Again, order {CHANGED_ORDER} changed")
            return Story(
                tenants=exchange.tenants,
                first=first,
                again=again,
                changed=changed,
                entities=entities(exchange, container.use_cases.entity_service()),
                suspected=suspected(exchange, container.use_cases.entity_service()),
                queues={str(name): depth for name, depth in container.queue().depths().items()},
            )


def set_accounts(container: LocalContainer, vendor: VendorApi) -> None:
    """Do for each tenant what ``api-exchange credentials set TENANT shop`` does."""
    keep_accounts(container.operations.keep_credentials(), vendor, container.exchange().tenants)


@contextmanager
def _prepared(exchange: Exchange, database_url: str, folder: Path, tally: Tally) -> Iterator[LocalContainer]:
    settings = LocalSettings(
        database_url=SecretStr(database_url),
        output_folder=folder / "output",
        port=0,
        timers=False,  # the acts fire the timer; a tick by the clock in between would count twice
    )
    container = prepared_container(exchange, settings, observer=tally)
    # A key of this process alone: what it has sealed nobody opens afterwards.
    keys = EnvironmentSecretSource({KEYRING: new_entry("demo")})
    container.secrets.override(providers.Object(keys))
    try:
        yield container
    finally:
        container.runner().stop()
        container.engine().dispose()


def _act(console: Console, runner: Runner, tally: Tally, title: str) -> Act:
    """Fire the timer, and show progress until nothing waits any more."""
    counts = tally.begin()
    started = time.monotonic()
    runner.tick("fetch-orders")
    with console.status(title) as status:
        while (waiting := runner.waiting) > 0:
            seconds = time.monotonic() - started
            if seconds > _GIVE_UP_AFTER:
                raise TimeoutError(f"{title}: {waiting} messages still wait after {seconds:.0f} s")
            status.update(
                f"{title}: {counts.orders_fetched.total():,} orders fetched, "
                f"{counts.messages.total():,} messages handled, {waiting:,} waiting"
            )
            time.sleep(_LOOK_EVERY)
    act = Act(counts, time.monotonic() - started)
    console.print(
        f"{title}: {counts.orders_fetched.total():,} fetched, "
        f"{counts.messages.total():,} messages in {act.seconds:.1f} s"
    )
    return act


if __name__ == "__main__":
    main()
