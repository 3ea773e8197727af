"""An extraction of somebody's API, right in one way and wrong in another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
    Schedule,
    Watermark,
)
from api_exchange_core.domain.checkpoint import Checkpoint
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.page import PageRequest
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing import PagedApi, Simulation
from api_exchange_testing.harness import START
from api_exchange_testing.paged_api import Record
from benchmarks.simulation.wrong_adapters import Around

ORDERS: Final = 5
TICKS: Final = 8
"""More than there are pages: who takes one a tick comes to the end as well."""


def _sent(orders: Sequence[Record]) -> ProcessingResult:
    result = ProcessingResult.create_success()
    for order in orders:
        result.add_output_message(order)
    if orders:
        result.add_output_handler(QueueOutputHandler("orders"))
    return result


class Extracts(ProcessorInterface):
    """Right: cursor and watermark are the framework's."""

    watermark: Watermark[Record] = Watermark(at="updated_at", id="id")

    def __init__(self, api: PagedApi) -> None:
        self.api = api

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        source = context.source("orders", lease=timedelta(minutes=2))
        pages = source.pages(self.api.fetch, watermark=self.watermark)
        return _sent([order for page in pages for order in page])


class KeepsItsCursorInMemory(ProcessorInterface):
    """Takes a page a tick, and remembers for itself where it was."""

    def __init__(self, api: PagedApi) -> None:
        self.api = api
        self.cursor: JsonValue = None

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        page = self.api.fetch(PageRequest(self.cursor))
        if page.items:
            last = page.items[-1]
            self.cursor = [last["updated_at"], last["id"]]
        return _sent(page.items)


def shop(processor: Callable[[PagedApi], ProcessorInterface]) -> Exchange:
    """One function that extracts five orders, two a page."""
    api = PagedApi(page_size=2)
    for number in range(ORDERS):
        api.put(f"order-{number}", START - timedelta(minutes=ORDERS - number))
    exchange = Exchange("shop", tenants=["a"])
    exchange.timer(
        "fetch-orders",
        Schedule.every(minutes=1),
        lambda: processor(api),
        retry=RetryPolicy(max_attempts=20),
    )
    return exchange


def eight_ticks(simulation: Simulation) -> None:
    """A tick a minute."""
    for number in range(TICKS):
        simulation.later(timedelta(minutes=number), lambda: simulation.tick("fetch-orders"))
    simulation.invariant(each_order_comes_once)


def each_order_comes_once(simulation: Simulation) -> str | None:
    """None is missing, and none was sent twice."""
    came = Counter(cast("Record", message.payload)["id"] for message in simulation.sent("orders"))
    wrong = [number for number in range(ORDERS) if came[f"order-{number}"] != 1]
    return f"orders missing or sent twice: {wrong}" if wrong else None


@dataclass(frozen=True)
class SavesCursorsEarly(UnitOfWorkFactory):
    """Commits a checkpoint before the unit of work that it belongs to: what its page was made into may be lost."""

    units: UnitOfWorkFactory

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        def write(checkpoints: Sequence[Checkpoint]) -> None:
            with self.units.begin(tenant_id) as other:
                other.checkpoints.write(checkpoints)
                other.commit()

        with self.units.begin(tenant_id) as unit:
            yield cast("UnitOfWork", Around(unit, checkpoints=Around(unit.checkpoints, write=write)))
