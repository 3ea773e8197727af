"""Page after page through a client."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from api_exchange_core import PermanentError, RetryableError, tenant_context
from api_exchange_core.http import ApiClient, AsyncApiClient, CursorPages, LinkedPages, pages, pages_async
from packages.core.tests.http.conftest import FakeApi, Tokens, client_of

ORDERS = CursorPages(path="/orders", items="/orders", cursor="/next", params={"limit": 2})


def page(request: httpx.Request) -> httpx.Response:
    cursor = int(request.url.params.get("cursor", 0))
    following = cursor + 2 if cursor < 4 else None
    return httpx.Response(200, json={"orders": [cursor, cursor + 1], "next": following})


def test_a_page_is_fetched_only_when_it_is_asked_for(client: ApiClient, api: FakeApi) -> None:
    api.answers = [page]
    found = pages(client, ORDERS)
    assert api.requests == []
    assert next(found).items == [0, 1]
    assert len(api.requests) == 1
    assert [one.items for one in found] == [[2, 3], [4, 5]]
    assert [request.url.query for request in api.requests] == [
        b"limit=2",
        b"limit=2&cursor=2",
        b"limit=2&cursor=4",
    ]


def test_a_walk_goes_on_from_a_checkpoint(client: ApiClient, api: FakeApi) -> None:
    api.answers = [page]
    kept = next(pages(client, ORDERS)).state
    assert [one.items for one in pages(client, ORDERS, state=kept)] == [[2, 3], [4, 5]]


def test_pages_stay_with_the_tenant_that_asked_for_them(api: FakeApi) -> None:
    api.answers = [page]
    client = client_of(api, base_url=lambda tenant: f"https://{tenant}.shop.example")
    found = pages(client, ORDERS)
    with tenant_context("customer-b"):
        list(found)
    assert {request.url.host for request in api.requests} == {"customer-a.shop.example"}


def test_links_keep_their_query_and_lead_to_no_other_host(
    client: ApiClient, api: FakeApi, tokens: Tokens
) -> None:
    def linked(request: httpx.Request) -> httpx.Response:
        target = "/v1/orders?page=2&key=%2F" if b"page" not in request.url.query else "https://evil.example/"
        return httpx.Response(200, json=[1, len(api.requests)], headers={"link": f'<{target}>; rel="next"'})

    api.answers = [linked]
    with pytest.raises(PermanentError, match=r"evil.example.*another host"):
        list(pages(client, LinkedPages(path="/orders", items="")))
    assert [request.url.raw_path for request in api.requests] == [b"/v1/orders", b"/v1/orders?page=2&key=%2F"]


def test_a_page_that_is_no_json_is_worth_another_try(client: ApiClient, api: FakeApi) -> None:
    api.answers = [httpx.Response(200, text="<html>")]
    with pytest.raises(RetryableError, match="the answer is no JSON"):
        next(pages(client, ORDERS))


def test_the_same_goes_for_a_client_on_an_event_loop(tokens: Tokens) -> None:
    async def walk() -> list[object]:
        transport = httpx.MockTransport(page)
        async with AsyncApiClient(
            "shop", base_url="https://shop.example", tokens=tokens, transport=transport
        ) as client:
            return [one.items async for one in pages_async(client, ORDERS)]

    assert asyncio.run(walk()) == [[0, 1], [2, 3], [4, 5]]
