"""`make demo`: real orders from a vendor's API through fetch, transform and routing into queues.

Three acts over one database: all orders for the first time, all of them again, and again after one has changed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dependency_injector import providers
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from api_exchange_core import Exchange, tenant_context
from api_exchange_core.adapters.crypto.aes_gcm import KEYRING
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.system.secret_source import EnvironmentSecretSource
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.credentials import system_name
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
from examples.orders.tally import Counts, Tally
from examples.orders.vendor import VendorApi

if TYPE_CHECKING:
    from api_exchange_core.local.runner import Runner

CHANGED_ORDER = "cdnow-000001"
_LOOK_EVERY = 0.1
_GIVE_UP_AFTER = 300.0


@dataclass(frozen=True, slots=True)
class Act:
    """One run of the exchange to rest."""

    counts: Counts
    seconds: float

    @property
    def messages_a_second(self) -> float:
        """Messages handled to the end, all functions together."""
        return self.counts.messages.total() / self.seconds


@dataclass(frozen=True, slots=True)
class Story:
    """All that the demo has to tell, by tenant."""

    tenants: tuple[str, ...]
    first: Act
    again: Act
    changed: Act
    entities: Mapping[str, Mapping[str, int]]
    suspected: Mapping[str, int]
    queues: Mapping[str, int]


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
                entities=_entities(exchange, container),
                suspected=_suspected(exchange, container),
                queues={str(name): depth for name, depth in container.queue().depths().items()},
            )


def table(story: Story) -> Table:
    """The story as a table that anyone understands."""
    shown = Table(title="Orders of the online CD shop CDNOW, 1997 and 1998", title_justify="left")
    shown.add_column("")
    for tenant in (*story.tenants, "together"):
        shown.add_column(tenant, justify="right")

    def row(name: str, numbers: Mapping[str, int]) -> None:
        each = [numbers.get(tenant, 0) for tenant in story.tenants]
        shown.add_row(name, *(f"{number:,}" for number in (*each, sum(each))))

    def line(name: str, number: str) -> None:
        shown.add_row(name, *("" for _ in story.tenants), number)

    first, again, changed = story.first.counts, story.again.counts, story.changed.counts
    row("orders fetched", first.orders_fetched)
    row("entities: orders", story.entities["customer_order"])
    row("entities: canonical orders", story.entities["canonical_order"])
    row("versions of orders", first.order_versions)
    row("versions of canonical orders", first.canonical_versions)
    row("suspected duplicates", story.suspected)
    shown.add_section()
    row("second run: unchanged", again.orders_fetched - again.order_versions)
    row("second run: versions", again.order_versions + again.canonical_versions)
    row("second run: forwarded", again.forwarded)
    row("after one changed: order versions", changed.order_versions)
    row("  and canonical versions", changed.canonical_versions)
    shown.add_section()
    for queue, depth in sorted(story.queues.items()):
        if not queue.endswith("-dlq"):
            line(f"messages in {queue}", f"{depth:,}")
    line("dead letters", f"{sum(depth for queue, depth in story.queues.items() if queue.endswith('-dlq')):,}")
    line("messages a second, first run", f"{story.first.messages_a_second:,.0f}")
    for problem, count in Counter(first.problems + again.problems + changed.problems).items():
        line(f"problem: {problem}", f"{count:,}")
    return shown


def set_accounts(container: LocalContainer, vendor: VendorApi) -> None:
    """Do for each tenant what ``api-exchange credentials set TENANT shop`` does."""
    keep, shop = container.operations.keep_credentials(), system_name("shop")
    for tenant in container.exchange().tenants:
        account = json.dumps(vendor.credentials(tenant)._asdict()).encode()
        keep.set(tenant, shop, account, by="demo", on_version=keep.version(tenant, shop))


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


def _entities(exchange: Exchange, container: LocalContainer) -> dict[str, dict[str, int]]:
    entities = container.use_cases.entity_service()
    counted: dict[str, dict[str, int]] = {}
    for kind in ("customer_order", "canonical_order"):
        for tenant in exchange.tenants:
            with tenant_context(tenant):
                counted.setdefault(kind, {})[tenant] = entities.count(canonical_type=kind)
    return counted


def _suspected(exchange: Exchange, container: LocalContainer) -> dict[str, int]:
    entities = container.use_cases.entity_service()
    counted: dict[str, int] = {}
    for tenant in exchange.tenants:
        with tenant_context(tenant):
            counted[tenant] = len(entities.suspected_duplicates(canonical_type="customer_order"))
    return counted


if __name__ == "__main__":
    main()
