"""A client and a paginator as a source: a page a message, each from where the one before has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import httpx
import pytest

from api_exchange_core import (
    DeclarationError,
    Exchange,
    Message,
    PageRequest,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    Schedule,
    Watermark,
    Window,
)
from api_exchange_core.http import (
    ApiClient,
    AsyncApiClient,
    CursorPages,
    WindowParams,
    fetch_from,
    fetch_from_async,
)
from api_exchange_core.http.pages import Record
from api_exchange_testing import Harness
from packages.core.tests.http.conftest import FakeApi

ORDERS = CursorPages(path="/orders", items="/orders", cursor="/next", params={"limit": 2})
SINCE = WindowParams(since="since", until="until")


def answer(request: httpx.Request) -> httpx.Response:
    first = int(request.url.params.get("cursor", 0))
    orders = [{"id": f"o-{number}", "at": f"2026-01-01T00:00:0{number}Z"} for number in range(5)]
    following = first + 2 if first + 2 < len(orders) else None
    return httpx.Response(200, json={"orders": orders[first : first + 2], "next": following})


class Sends(ProcessorInterface):
    watermark: Watermark[Record] | None = None

    def __init__(self, shop: ApiClient) -> None:
        self.shop = shop

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        fetch = fetch_from(self.shop, ORDERS, window=SINCE)
        for page in context.source("orders").pages(fetch, watermark=self.watermark):
            for order in page:
                result.add_output_message(order)
        if result.output_messages:
            result.add_output_handler(QueueOutputHandler("orders"))
        return result


class SendsChanges(Sends):
    watermark = Watermark(at="at", id="id", lag=timedelta(seconds=2))


class SendsAsync(ProcessorInterface):
    def __init__(self, shop: AsyncApiClient) -> None:
        self.shop = shop

    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        async for page in context.source("orders").pages(fetch_from_async(self.shop, ORDERS)):
            for order in page:
                result.add_output_message(order)
        result.add_output_handler(QueueOutputHandler("orders"))
        return result


def harness_of(processor: ProcessorInterface) -> Harness:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.timer("fetch", Schedule.every(minutes=5), processor)
    return Harness(exchange)


def sent(harness: Harness) -> list[object]:
    return [cast("Record", message.payload)["id"] for message in harness.queue("orders")]


def queries(api: FakeApi) -> list[dict[str, str]]:
    return [dict(request.url.params) for request in api.requests]


def test_each_page_is_a_message_and_each_order_comes_once(client: ApiClient, api: FakeApi) -> None:
    api.answers = [answer]
    harness = harness_of(Sends(client))
    harness.tick("fetch")
    harness.run()
    assert sent(harness) == [f"o-{n}" for n in range(5)]
    assert queries(api) == [{"limit": "2"}, {"limit": "2", "cursor": "2"}, {"limit": "2", "cursor": "4"}]
    assert harness.counts["fetch"] == {"completed": 3}


def test_a_client_on_an_event_loop_does_the_same() -> None:
    harness = harness_of(
        SendsAsync(
            AsyncApiClient("shop", base_url="https://shop.example", transport=httpx.MockTransport(answer))
        )
    )
    harness.tick("fetch")
    harness.run()
    assert sent(harness) == [f"o-{n}" for n in range(5)]
    assert harness.counts["fetch"] == {"completed": 3}


def test_the_next_run_asks_for_what_changed_since_on_each_of_its_pages(
    client: ApiClient, api: FakeApi
) -> None:
    api.answers = [answer]
    harness = harness_of(SendsChanges(client))
    harness.clock.advance(timedelta(minutes=5))
    harness.tick("fetch")
    harness.run()
    harness.clock.advance(timedelta(minutes=5))
    harness.tick("fetch")
    harness.run()
    assert [query.get("since") for query in queries(api)] == [None] * 3 + ["2026-01-01T00:00:02Z"] * 3
    assert sent(harness)[:5] == [f"o-{n}" for n in range(5)]


def test_a_slice_of_the_past_is_asked_for_with_both_its_ends(client: ApiClient, api: FakeApi) -> None:
    api.answers = [answer]
    day = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    fetch = fetch_from(client, ORDERS, window=SINCE)
    first = fetch(PageRequest(window=day))
    fetch(PageRequest(first.next_cursor, window=day, number=2))
    ends = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    assert queries(api) == [{"limit": "2", **ends}, {"limit": "2", "cursor": "2", **ends}]


def test_a_window_that_nothing_asks_for_is_refused_before_anybody_is_asked(
    client: ApiClient, api: FakeApi
) -> None:
    with pytest.raises(DeclarationError, match="WindowParams"):
        fetch_from(client, ORDERS)(PageRequest(window=Window(since=datetime(2026, 1, 1, tzinfo=UTC))))
    assert api.requests == []


def test_the_pages_of_a_run_are_counted_over_all_its_messages(client: ApiClient, api: FakeApi) -> None:
    api.answers = [answer]
    fetch = fetch_from(client, ORDERS, max_pages=2)
    first = fetch(PageRequest())
    with pytest.raises(PermanentError, match="more than 2 pages"):
        fetch(PageRequest(first.next_cursor, number=2))


def test_items_that_are_no_objects_are_for_a_fetch_of_ones_own(client: ApiClient, api: FakeApi) -> None:
    api.answers = [httpx.Response(200, json={"orders": [{"id": 1}, "o-2"]})]
    with pytest.raises(PermanentError, match="page 1 holds items that are no JSON objects"):
        fetch_from(client, ORDERS)(PageRequest())
