"""The client on an event loop makes of answers what the other one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
from typing_extensions import override

from api_exchange_core import DeferError, PermanentError, RetryableError
from api_exchange_core.http import AsyncApiClient, AsyncTokenSource, Budget, Limits
from api_exchange_testing import VirtualClock
from packages.core.tests.http.conftest import FakeApi, Tokens, seconds

OK = httpx.Response(200, json={"id": 1})


@dataclass
class OnALoop(httpx.AsyncBaseTransport):
    api: FakeApi

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.api.handle_request(request)


class AsyncTokens(Tokens, AsyncTokenSource):
    @override
    def get_valid_token(self, *, operation: str) -> tuple[str, str]:
        raise AssertionError("the loop would wait")

    @override
    async def get_valid_token_async(self, *, operation: str) -> tuple[str, str]:
        return super().get_valid_token(operation=operation)

    @override
    async def invalidate_async(self, token_id: str) -> None:
        super().invalidate(token_id)


def run(
    api: FakeApi,
    work: Callable[[AsyncApiClient], Awaitable[httpx.Response]],
    *,
    tokens: Tokens | None = None,
    budget: Budget | None = None,
    limits: Limits | None = None,
) -> httpx.Response:
    async def on_a_loop() -> httpx.Response:
        async with AsyncApiClient(
            "shop",
            base_url="https://shop.example",
            transport=OnALoop(api),
            tokens=tokens,
            budget=budget,
            limits=limits,
        ) as client:
            return await work(client)

    return asyncio.run(on_a_loop())


def test_waits_and_tries_are_the_same(api: FakeApi) -> None:
    api.answers = [httpx.Response(429, headers={"retry-after": "2"}), httpx.ConnectError(""), OK]
    assert run(api, lambda client: client.post("/orders", json={})).json() == {"id": 1}
    assert api.times[1] == 2
    api.answers = [httpx.Response(429, headers={"retry-after": "3600"})]
    with pytest.raises(DeferError) as deferred:
        run(api, lambda client: client.get("/orders"))
    assert deferred.value.delay == seconds(3600)


def test_what_fails_is_translated(api: FakeApi) -> None:
    api.answers = [httpx.ReadTimeout("")]
    with pytest.raises(RetryableError, match="no answer"):
        run(api, lambda client: client.patch("/orders", json={}))
    api.answers = [httpx.Response(404)]
    with pytest.raises(PermanentError, match="answered 404"):
        run(api, lambda client: client.delete("/orders/1"))


def test_the_budget_holds(api: FakeApi) -> None:
    async def three(client: AsyncApiClient) -> httpx.Response:
        return (await asyncio.gather(*(client.get("/orders") for _ in range(3))))[-1]

    api.answers = [OK]
    run(api, three, budget=Budget(1, burst=1))
    assert api.times == [0, 1, 2]


@pytest.mark.parametrize("kind", [Tokens, AsyncTokens])
def test_a_token_that_is_refused_is_given_up_once_and_the_request_sent_again(
    api: FakeApi, kind: type[Tokens]
) -> None:
    tokens = kind()
    api.answers = [httpx.Response(401, content=b"x" * 99), OK]
    assert run(api, lambda client: client.put("/orders/1", json={"a": 1}), tokens=tokens).status_code == 200
    assert tokens.given_up == ["id-1"]
    assert [request.content for request in api.requests] == [b'{"a":1}'] * 2


def test_an_answer_that_is_too_much_is_refused(api: FakeApi, clock: VirtualClock) -> None:
    class Endless(httpx.AsyncByteStream):
        @override
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 60

    api.answers = [lambda _: httpx.Response(200, stream=Endless())]
    with pytest.raises(PermanentError, match="more than 100 bytes"):
        run(api, lambda client: client.get("/orders"), limits=Limits(max_bytes=100))
