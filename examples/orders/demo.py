"""`make demo`: real orders from a vendor's API through fetch, transform and routing into queues.

Three acts over one database: all orders for the first time, all of them again, and again after one has changed.
"""

from __future__ import annotations

import argparse
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
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from examples.orders.client import ShopClient
from examples.orders.container import OrdersContainer, ShopAccount
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
    pages: int


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
        parts = _parts(vendor)
        exchange = declare(parts)
        with _closing(parts), _running(exchange, database_url, folder, tally) as container:
            runner = container.runner()
            first = _act(console, runner, tally, "1. All orders")
            again = _act(console, runner, tally, "2. All orders again")
            with _client(vendor, "customer-a") as shop:
                shop.change_order(CHANGED_ORDER, {"cds": 7})
            changed = _act(console, runner, tally, f"3. Again, order {CHANGED_ORDER} changed")
            return Story(
                tenants=exchange.tenants,
                first=first,
                again=again,
                changed=changed,
                entities=_entities(exchange, container),
                suspected=_suspected(exchange, container),
                queues={str(name): depth for name, depth in container.queue().depths().items()},
                pages=vendor.requests.get("/v1/orders", 0),
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


def _parts(vendor: VendorApi) -> OrdersContainer:
    accounts = {tenant: _account(vendor, tenant) for tenant in vendor.tenants}
    return OrdersContainer(shop_url=providers.Object(vendor.url), accounts=providers.Object(accounts))


def _account(vendor: VendorApi, tenant: str) -> ShopAccount:
    credentials = vendor.credentials(tenant)
    return ShopAccount(client_id=credentials.client_id, client_secret=SecretStr(credentials.client_secret))


def _client(vendor: VendorApi, tenant: str) -> ShopClient:
    account = _account(vendor, tenant)
    return ShopClient(vendor.url, account.client_id, account.client_secret.get_secret_value())


@contextmanager
def _running(exchange: Exchange, database_url: str, folder: Path, tally: Tally) -> Iterator[LocalContainer]:
    settings = LocalSettings(
        database_url=SecretStr(database_url),
        output_folder=folder / "output",
        port=0,
        timers=False,  # the acts fire the timer; a tick by the clock in between would count twice
    )
    container = prepared_container(exchange, settings, observer=tally)
    runner = container.runner()
    runner.start()
    try:
        yield container
    finally:
        runner.stop()
        container.engine().dispose()


@contextmanager
def _closing(parts: OrdersContainer) -> Iterator[None]:
    try:
        yield
    finally:
        parts.shutdown_resources()


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
