"""What the demos have to tell, and the table that tells it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from api_exchange_core import Exchange, tenant_context
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.domain.credentials import system_name
from api_exchange_core.domain.names import tenant_id
from examples.orders.tally import Counts
from examples.orders.vendor import VendorApi


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


def tell(story: Story, console: Console) -> None:
    """Print the table; the process ends in failure if something in it went wrong."""
    console.print(table(story))
    if any(act.counts.problems for act in (story.first, story.again, story.changed)):
        sys.exit("something went wrong on the way; the table says what")


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


def keep_accounts(keep: KeepCredentials, vendor: VendorApi, tenants: Sequence[str]) -> None:
    """Give each tenant its account at the shop, as an operator does."""
    shop = system_name("shop")
    for tenant in map(tenant_id, tenants):
        account = json.dumps(vendor.credentials(tenant)._asdict()).encode()
        keep.set(tenant, shop, account, by="demo", on_version=keep.version(tenant, shop))


def entities(exchange: Exchange, service: EntityService) -> dict[str, dict[str, int]]:
    """How many there are, by type and tenant."""
    counted: dict[str, dict[str, int]] = {}
    for kind in ("customer_order", "canonical_order"):
        for tenant in exchange.tenants:
            with tenant_context(tenant):
                counted.setdefault(kind, {})[tenant] = service.count(canonical_type=kind)
    return counted


def suspected(exchange: Exchange, service: EntityService) -> dict[str, int]:
    """How many orders look like an earlier one, by tenant."""
    counted: dict[str, int] = {}
    for tenant in exchange.tenants:
        with tenant_context(tenant):
            counted[tenant] = len(service.suspected_duplicates(canonical_type="customer_order"))
    return counted
