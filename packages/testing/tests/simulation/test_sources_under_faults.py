"""A paged API extracted by instances that crash, stall and are told of each page twice: every record, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from typing_extensions import override

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
from api_exchange_core.domain.names import TenantId
from api_exchange_testing import BrokenPromiseError, PagedApi, Plan, Simulation, explore
from api_exchange_testing.memory.checkpoints import InMemoryCheckpoints
from api_exchange_testing.memory.unit_of_work import InMemoryUnitOfWorkFactory
from api_exchange_testing.paged_api import Record
from api_exchange_testing.strategies import plans

TENANT = TenantId("customer-a")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(minutes=2)
ORDERS = 11
LATE = "late"


class SendsEach(ProcessorInterface):
    """Sends each record that a page has, and stores no entity, which would hide that one was taken twice."""

    def __init__(self, api: PagedApi) -> None:
        self.api = api
        self.watermark: Watermark[Record] = Watermark(at="updated_at", id="id", lag=timedelta(minutes=5))

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        source = context.source("orders", lease=LEASE, pages_per_message=2)
        for page in source.pages(self.api.fetch, watermark=self.watermark):
            for order in page:
                result.add_output_message(order)
        if result.output_messages:
            result.add_output_handler(QueueOutputHandler("orders"))
        return result


def shop() -> Exchange:
    api = PagedApi(page_size=2)
    for number in range(ORDERS):
        api.put(f"order-{number:02}", NEW_YEAR - timedelta(seconds=60 - number))
    exchange = Exchange("shop", tenants=[TENANT])
    exchange.timer(
        "fetch-orders",
        Schedule.every(minutes=5),
        lambda: SendsEach(api),
        retry=RetryPolicy(max_attempts=50),
        concurrency=2,
    )
    return exchange


def three_ticks(simulation: Simulation) -> None:
    """Two ticks at once, another while that run may be under way, and one long after; an order turns up late."""
    (function,) = simulation.world.exchange.functions
    api: PagedApi = function.factory().api  # type: ignore[operator,union-attr] # declared above
    simulation.invariant(every_order_was_sent_once)
    simulation.tick("fetch-orders")
    simulation.tick("fetch-orders", at=NEW_YEAR + timedelta(seconds=1))
    simulation.later(timedelta(seconds=30), lambda: simulation.tick("fetch-orders"))
    simulation.later(timedelta(hours=1), lambda: api.put(LATE, NEW_YEAR - timedelta(minutes=3)))
    simulation.later(timedelta(hours=1), lambda: simulation.tick("fetch-orders"))


def every_order_was_sent_once(simulation: Simulation) -> str | None:
    sent = sorted(str(message.payload["id"]) for message in simulation.sent("orders"))  # type: ignore[index,call-overload] # a dict
    wanted = sorted([LATE, *(f"order-{number:02}" for number in range(ORDERS))])
    if sent != wanted:
        return f"the orders that were sent are not those of the shop: {sent}"
    with InMemoryUnitOfWorkFactory(simulation.world.store).begin(TENANT) as unit:
        checkpoint = unit.checkpoints.get("orders")
    if checkpoint is None or checkpoint.is_running:
        return f"the last run has not come to its end: {checkpoint}"
    return None


@pytest.mark.parametrize("one_store", [False, True])
@pytest.mark.parametrize("keeper", [False, True])
def test_every_order_is_sent_once_whatever_goes_wrong(one_store: bool, keeper: bool) -> None:
    steps = explore(shop, three_ticks, schedules=40, instances=3, one_store=one_store, keeper=keeper)
    assert steps > 40 * 100


@pytest.mark.slow
@pytest.mark.parametrize("one_store", [False, True])
def test_every_order_is_sent_once_over_many_schedules(one_store: bool) -> None:
    explore(shop, three_ticks, schedules=1_000, seed=5_000, instances=3, one_store=one_store)


@given(plans())
@settings(max_examples=30, deadline=None)
def test_no_plan_makes_a_source_lose_an_order_or_send_one_twice(plan: Plan) -> None:
    simulation = Simulation(shop(), plan=plan)
    three_ticks(simulation)
    simulation.run()


def test_a_store_that_lets_late_runners_write_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug is planted to see that the simulation can find it: the version of a checkpoint is not looked at."""

    def current(self: InMemoryCheckpoints) -> dict[str, Checkpoint]:
        stored = _as_it_was(InMemoryCheckpoints.__new__(InMemoryCheckpoints), self)
        return stored | {checkpoint.source: checkpoint for checkpoint in self._written}

    monkeypatch.setattr(InMemoryCheckpoints, "_current", current)
    with pytest.raises(BrokenPromiseError):
        explore(shop, three_ticks, schedules=300, instances=3)


_current = InMemoryCheckpoints._current


def _as_it_was(empty: InMemoryCheckpoints, store: InMemoryCheckpoints) -> dict[str, Checkpoint]:
    """What is committed, without the writes of the unit of work."""
    empty._rows, empty._changed, empty._written = store._rows, store._changed, []
    return _current(empty)
