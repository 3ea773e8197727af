"""Whatever step a process dies at while it extracts a source, others come to the same end on a real database."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Final, cast

import pytest
from dependency_injector import providers
from sqlalchemy import delete
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
from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.schema import metadata, tenants
from api_exchange_core.containers.local import (
    LocalContainer,
    LocalSettings,
    local_container,
    prepared_container,
)
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing import PagedApi, RecordingObserver, VirtualClock
from api_exchange_testing.paged_api import Record
from benchmarks.torture.crash_points import Steps, watched

TENANT: Final = TenantId("customer-a")
FETCH, ORDERS = QueueName("fetch-orders"), QueueName("orders")
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
LATER: Final = timedelta(minutes=15)
"""By then every claim and lease of a process that died is over."""

_ORDERS: Final = 5


class Died(BaseException):
    """The process is no more: nothing of it catches this."""


class Mortal(Steps):
    """Ends a process at a step by unwinding it: its transaction is rolled back, as when its connection breaks."""

    @override
    def reach(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.last:
            raise Died


class SendsEach(ProcessorInterface):
    """Sends each record, and stores it; what is taken twice is sent twice."""

    def __init__(self, api: PagedApi, steps: Steps) -> None:
        self.api = api
        self.steps = steps

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        rule = Watermark[Record](at="updated_at", id="id")
        for page in context.source("orders").pages(self.api.fetch, watermark=rule):
            self.steps.reach("after fetch")
            for order in page:
                context.persist_entity(
                    external_id=str(order["id"]), canonical_type="order", source="shop", data=order
                )
                result.add_output_message(order)
        if result.output_messages:
            result.add_output_handler(QueueOutputHandler(ORDERS))
        self.steps.reach("after process")
        return result


@dataclass(frozen=True)
class WatchedUnits(UnitOfWorkFactory):
    """Units of work each of whose calls is a step."""

    inner: UnitOfWorkFactory
    steps: Steps

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self.inner.begin(tenant_id) as unit:
            yield cast("UnitOfWork", watched("unit", unit, self.steps))


@dataclass(frozen=True)
class Site:
    """A database, and processes on it."""

    url: str
    clock: VirtualClock
    api: PagedApi

    def process(self, steps: Steps) -> tuple[LocalContainer, Exchange]:
        exchange = Exchange("shop", tenants=[TENANT])
        exchange.timer(
            FETCH,
            Schedule.every(minutes=5),
            SendsEach(self.api, steps),
            retry=RetryPolicy(max_attempts=1_000),
        )
        container = local_container(
            exchange, LocalSettings(database_url=self.url), observer=RecordingObserver()
        )
        container.clock.override(providers.Object(self.clock))
        container.units.override(providers.Object(WatchedUnits(container.units(), steps)))
        return container, exchange

    def work(self, steps: Steps, *, processes: int = 1) -> None:
        """Handle what there is, in turn, until there is nothing, or the process dies."""
        made = [self.process(steps) for _ in range(processes)]
        engines = [container.engine() for container, _ in made]
        try:
            with steps.watching(engines):
                while sum(self._round(container, exchange, steps) for container, exchange in made):
                    pass
        except Died:
            pass
        finally:
            if steps.last == len(steps.names):
                # A process that dies lets go of its locks; what is left of this one is a cycle that holds a connection.
                gc.collect()
            for engine in engines:
                engine.dispose()

    def _round(self, container: LocalContainer, exchange: Exchange, steps: Steps) -> bool:
        consumer = watched("consumer", container.queue(), steps)
        got = container.queue().receive(FETCH, max_messages=2, visibility=timedelta(minutes=5))
        if got:
            consumer.settle(container.use_cases.handler().handle(exchange.function(FETCH), got))
        return bool(got)

    def tick(self) -> None:
        container, exchange = self.process(Steps())
        container.use_cases.fan_out().fan_out(exchange.function(FETCH), self.clock.now())
        container.engine().dispose()

    def sent(self) -> Sequence[str]:
        """Ids of the orders that were sent, each as often as it was."""
        container, _ = self.process(Steps())
        queue = container.queue()
        found = []
        while got := queue.receive(ORDERS, max_messages=10, visibility=timedelta(days=1)):
            found += [one.body.decode() for one in got]
        container.engine().dispose()
        return sorted(text.split('"id":"')[-1].split('"')[0] for text in found)

    def empty(self) -> None:
        engine = create_engine_for(self.url)
        with writing(engine) as connection:
            for table in reversed(metadata.sorted_tables):
                if table is not tenants:
                    connection.execute(delete(table))
        engine.dispose()


@pytest.fixture
def site(database_url: str) -> Iterator[Site]:
    made = Site(database_url, VirtualClock(START), PagedApi(page_size=2))
    prepared_container(
        Exchange("shop", tenants=[TENANT]),
        LocalSettings(database_url=database_url),
        observer=RecordingObserver(),
    ).engine().dispose()
    for number in range(_ORDERS):
        made.api.put(f"order-{number}", START - timedelta(hours=1, seconds=-number))
    gc.collect()
    gc.freeze()  # what other tests have left is not looked through again and again
    yield made
    gc.unfreeze()


def voyage(site: Site, die_at: int, *, processes: int = 1) -> Sequence[str]:
    """A run in which a process dies at a step, another that does its work, and a run after that; the steps."""
    steps = Mortal(last=die_at)
    site.tick()
    site.work(steps, processes=processes)
    site.clock.advance(LATER)
    site.work(Steps())
    site.clock.advance(LATER)
    site.tick()
    site.work(Steps())
    return steps.names


def check_every(site: Site, nth: int, *, processes: int) -> None:
    """Die at each *nth* step."""
    wanted = [f"order-{number}" for number in range(_ORDERS)]
    names = voyage(site, 0, processes=processes)
    assert site.sent() == wanted
    assert names.count("after fetch") == 3
    for number in range(1, len(names) + 1, nth):
        site.empty()
        voyage(site, number, processes=processes)
        assert site.sent() == wanted, f"died at {names[number - 1]!r}, the {number}. step"


def test_a_process_that_extracts_may_die_at_some_steps(site: Site) -> None:
    check_every(site, 11, processes=1)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_that_extracts_may_die_at_any_step(site: Site, processes: int) -> None:
    check_every(site, 1, processes=processes)


def test_of_many_that_begin_a_source_at_once_one_runs_it(site: Site) -> None:
    threads = 6
    container, _ = site.process(Steps())
    for _ in range(threads):
        container.use_cases.sender().send(FETCH, {}, tenant_id=TENANT)
    got = container.queue().receive(FETCH, max_messages=threads, visibility=timedelta(minutes=5))
    assert len(got) == threads
    together = Barrier(threads)

    def begin(delivery: Delivery) -> None:
        mine, own = site.process(Steps())
        together.wait(timeout=30)
        mine.queue().settle(mine.use_cases.handler().handle(own.function(FETCH), [delivery]))
        mine.engine().dispose()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(begin, delivery) for delivery in got]:
            done.result(timeout=60)
    container.engine().dispose()
    assert [request.number for request in site.api.asked] == [1]
    site.work(Steps())
    assert site.sent() == [f"order-{number}" for number in range(_ORDERS)]
