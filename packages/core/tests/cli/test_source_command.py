"""`api-exchange source`, as an operator meets it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    Schedule,
    Watermark,
)
from api_exchange_core.cli.app import run
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.deadline import NO_DEADLINE
from api_exchange_core.domain.names import QueueName
from api_exchange_testing import PagedApi, RecordingObserver
from api_exchange_testing.paged_api import Record

FETCH = QueueName("fetch-orders")
SECRET = "cursor-of-the-vendor"
DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class FetchOrders(ProcessorInterface):
    def __init__(self) -> None:
        self.api = PagedApi(page_size=2)
        self.broken = False

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        rule = Watermark[Record](at="updated_at", id="id")
        for page in context.source("orders").pages(self.api.fetch, watermark=rule):
            if self.broken:
                raise PermanentError("the API is gone")
            for order in page:
                context.persist_entity(
                    external_id=str(order["id"]), canonical_type="order", source="shop", data=order
                )
        return ProcessingResult.create_success()


class Machine:
    """An exchange on a database, and the commands that look at it."""

    def __init__(self, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._url = database_url
        self._capsys = capsys
        self.orders = FetchOrders()
        self.exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
        self.function = self.exchange.timer(FETCH, Schedule.every(minutes=5), self.orders)
        self.container: LocalContainer = prepared_container(
            self.exchange,
            LocalSettings(database_url=database_url),
            observer=RecordingObserver(),
        )

    def command(self, *words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            run(["source", *words, "--database-url", self._url])
        return Ended(int(ended.value.code or 0), *self._capsys.readouterr())

    def extract(self, *, messages: int = 1_000) -> int:
        """Handle what is in the queue, one message after the other; how many there were."""
        queue, handler = self.container.queue(), self.container.use_cases.handler()
        for number in range(messages):
            got = queue.receive(FETCH, max_messages=1, visibility=timedelta(minutes=5))
            if not got:
                return number
            queue.settle(handler.handle(self.function, got, deadline=NO_DEADLINE))
        return messages

    def tick(self) -> None:
        self.container.use_cases.fan_out().fan_out(self.function, self.container.clock().now())

    def entities(self) -> int:
        with self.container.units().begin(self.exchange.tenants[0]) as unit:
            return unit.entities.count()


@pytest.fixture
def machine(database_url: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Machine]:
    handlers = logging.getLogger().handlers[:]
    made = Machine(database_url, capsys)
    for number in range(10):
        made.orders.api.put(f"order-{number}", DAY + timedelta(hours=12 * number), note=SECRET)
    yield made
    made.container.engine().dispose()
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def test_status_tells_progress_and_no_cursor(machine: Machine) -> None:
    assert machine.command("status").out == "no source was extracted yet\n"
    machine.tick()
    machine.extract(messages=3)
    under_way = machine.command("status", "--tenant", "customer-a", "--json").json
    (one,) = under_way
    assert (one["source"], one["state"], one["tenant_id"]) == ("orders", "running", "customer-a")
    assert one["runner"] is not None
    machine.extract()
    ended = machine.command("status", "--json").json
    assert [
        (one["tenant_id"], one["state"], one["run"]["pages"], one["run"]["records"]) for one in ended
    ] == [
        ("customer-a", "idle", 5, 10),
        ("customer-b", "idle", 5, 10),
    ]
    assert ended[0]["watermark"] == "2026-01-05T12:00:00Z"
    table = machine.command("status").out
    assert "orders" in table
    assert "idle" in table
    assert SECRET not in table + json.dumps(under_way) + json.dumps(ended)
    assert "order-" not in json.dumps(under_way)


def test_a_backfill_takes_each_slice_and_leaves_the_watermark(machine: Machine) -> None:
    machine.tick()
    machine.extract()
    before = machine.command("status", "--tenant", "customer-a", "--json").json
    for number in range(5):
        machine.orders.api.put(f"old-{number}", DAY - timedelta(days=5 - number))
    ordered = machine.command(
        "backfill", "customer-a", "orders", "--from", "2025-12-27", "--to", "2026-01-01", "--json"
    )
    assert ordered.exit_code == 0
    assert len(ordered.json["slices"]) == 5
    assert len(machine.command("status", "orders", "--json").json) == 2
    assert machine.extract() == 5
    assert machine.entities() == 15
    assert (
        machine.command("status", "--tenant", "customer-a", "--json").json[0]["watermark"]
        == before[0]["watermark"]
    )
    slices = machine.command("status", "--all", "--tenant", "customer-a", "--json").json[1:]
    assert [(one["state"], one["run"]["records"]) for one in slices] == [("idle", 1)] * 5
    asked = machine.orders.api.asked[-5:]
    assert [request.until for request in asked] == [DAY - timedelta(days=4 - number) for number in range(5)]


def test_an_order_that_is_given_again_is_not_extracted_twice(machine: Machine) -> None:
    words = ("backfill", "customer-a", "orders", "--from", "2026-01-01", "--to", "2026-01-04")
    again = (*words, "--slice", "36h", "--queue", FETCH, "--id", "new-year")
    for _ in range(2):
        assert machine.command(*again).exit_code == 0
    assert machine.extract() == 2 * 2 + 2  # two slices of three records each, on two pages; and two copies
    assert len(machine.orders.api.asked) == 4


def test_a_source_that_never_ran_needs_its_queue(machine: Machine) -> None:
    ended = machine.command("backfill", "customer-a", "orders", "--from", "2026-01-01", "--to", "2026-01-04")
    assert ended.exit_code == 2
    assert "was ever extracted; it has none" in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("backfill", "nobody", "orders", "--from", "2026-01-01", "--to", "2026-01-02"),
            "unknown or disabled",
        ),
        (("backfill", "customer-a", "orders", "--from", "2026-01-02", "--to", "2026-01-01"), "holds no time"),
        (("backfill", "customer-a", "orders", "--from", "soon", "--to", "2026-01-01"), "is no time"),
        (
            (
                "backfill",
                "customer-a",
                "orders",
                "--from",
                "2000-01-01",
                "--to",
                "2026-01-01",
                "--slice",
                "1m",
            ),
            "10,000 is the most",
        ),
        (("reset", "customer-a", "orders", "--yes"), "was ever extracted"),
        (("reset", "customer-a", "orders"), "say --yes"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    machine: Machine, words: tuple[str, ...], says: str
) -> None:
    ended = machine.command(*words)
    assert ended.exit_code == 2
    assert says in ended.err


def test_a_reset_begins_anew_is_logged_and_stops_the_run_that_is_under_way(machine: Machine) -> None:
    def reset() -> None:
        ended = machine.command("reset", "customer-a", "orders", "--yes", "--by", "Ada", "--json")
        assert ended.exit_code == 0
        assert ended.json["was_running"] is True
        (line,) = [json.loads(one) for one in ended.err.splitlines() if "source.reset" in one]
        assert (line["by"], line["tenant_id"], line["source"]) == ("Ada", "customer-a", "orders")
        assert SECRET not in ended.err

    machine.container.use_cases.sender().send(FETCH, {}, tenant_id=machine.exchange.tenants[0])
    machine.extract(messages=2)
    fetch, asked = machine.orders.api.fetch, []

    def fetch_while_it_is_reset(request: Any) -> Any:
        asked.append(request.number)
        if len(asked) == 1:
            reset()
        return fetch(request)

    machine.orders.api = _Stand(fetch_while_it_is_reset)  # type: ignore[assignment] # only fetch is asked of it
    machine.extract()
    (one,) = machine.command("status", "--tenant", "customer-a", "--json").json
    assert asked == [3]
    assert (one["state"], one["cursor"], one["watermark"], one["run"]) == ("idle", None, None, None)
    machine.container.use_cases.sender().send(FETCH, {}, tenant_id=machine.exchange.tenants[0])
    machine.extract()
    assert asked == [3, 1, 2, 3, 4, 5]
    assert machine.entities() == 10


@dataclass
class _Stand:
    fetch: Callable[[Any], Any]
