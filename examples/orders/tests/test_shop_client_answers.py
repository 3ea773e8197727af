"""What the client makes of answers that the shop of the example never gives: a transport gives them here."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from api_exchange_core.domain.errors import ExchangeError, PermanentError, RetryableError
from examples.orders.client import TIMEOUT, ShopClient
from examples.orders.models import JsonObject
from examples.orders.tests.manual_clock import ManualClock
from examples.orders.vendor import Credentials
from examples.orders.vendor.oauth import signed_in_tenant

URL = "http://shop.example"
TOKEN: JsonObject = {"access_token": "a-token-to-keep", "token_type": "bearer", "expires_in": 3600}
EMPTY_PAGE: JsonObject = {"orders": [], "next_cursor": None, "total": 0}

Answer = Callable[[httpx.Request], httpx.Response]


class Shop:
    """Answers tokens and orders as it is told, and keeps what it was asked."""

    def __init__(
        self,
        *,
        orders: Answer = lambda _: httpx.Response(200, json=EMPTY_PAGE),
        token: Answer = lambda _: httpx.Response(200, json=TOKEN),
    ) -> None:
        self.token = token
        self._answers = {"/oauth/token": token, "/v1/orders": orders}
        self.asked: list[httpx.Request] = []

    def client(
        self,
        clock: Callable[[], float] = lambda: 0.0,
        *,
        base_url: str = URL,
        credentials: tuple[str, str] = ("an-id", "a-secret"),
    ) -> ShopClient:
        return ShopClient(base_url, *credentials, transport=httpx.MockTransport(self._answer), clock=clock)

    def asked_paths(self) -> list[str]:
        return [request.url.path for request in self.asked]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answers[request.url.path](request)


def failing(error: httpx.RequestError) -> Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer


def answering(status: int, **headers: str) -> Answer:
    return lambda _: httpx.Response(
        status, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


def failure_of(shop: Shop) -> ExchangeError:
    with shop.client() as client, pytest.raises(ExchangeError) as failure:
        list(client.orders())
    return failure.value


BROKEN = [
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadTimeout,
    httpx.ReadError,
    httpx.RemoteProtocolError,
]


@pytest.mark.parametrize("error", [*BROKEN, httpx.DecodingError])
@pytest.mark.parametrize("part", ["orders", "token"])
def test_no_answer_is_worth_another_try(error: type[httpx.RequestError], part: str) -> None:
    failure = failure_of(Shop(**{part: failing(error("no luck"))}))
    assert isinstance(failure, RetryableError)
    assert error.__name__ in str(failure)
    assert failure.retry_after is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("part", ["orders", "token"])
def test_a_busy_or_broken_shop_is_worth_another_try(status: int, part: str) -> None:
    failure = failure_of(Shop(**{part: answering(status)}))
    assert isinstance(failure, RetryableError)
    assert f"answered {status}" in str(failure)


@pytest.mark.parametrize("status", [301, 400, 403, 404, 410, 422])
@pytest.mark.parametrize("part", ["orders", "token"])
def test_any_other_refusal_is_permanent(status: int, part: str) -> None:
    assert isinstance(failure_of(Shop(**{part: answering(status)})), PermanentError)


def test_a_token_refused_twice_is_permanent_and_asked_for_no_third_time() -> None:
    shop = Shop(orders=answering(401))
    assert isinstance(failure_of(shop), PermanentError)
    assert shop.asked_paths() == ["/oauth/token", "/v1/orders", "/oauth/token", "/v1/orders"]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "0"}, timedelta(0)),
        ({"retry_after": "3600"}, timedelta(hours=1)),
        (
            {"date": "Wed, 01 Jan 1997 12:00:00 GMT", "retry_after": "Wed, 01 Jan 1997 12:01:30 GMT"},
            timedelta(seconds=90),
        ),
        (
            {"date": "Wed, 01 Jan 1997 12:00:00 GMT", "retry_after": "Wed, 01 Jan 1997 11:00:00 GMT"},
            timedelta(0),
        ),
        ({"retry_after": "Wed, 01 Jan 1997 12:01:30 GMT"}, None),
        ({"date": "Wed, 01 Jan 1997 12:00:00 -0000", "retry_after": "Wed, 01 Jan 1997 12:01:30 GMT"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "9" * 400}, None),
        ({}, None),
    ],
)
def test_the_wait_that_the_shop_asks_for_goes_with_the_error(
    headers: dict[str, str], wait: timedelta | None
) -> None:
    failure = failure_of(Shop(orders=answering(503, **headers)))
    assert isinstance(failure, RetryableError)
    assert failure.retry_after == wait


@pytest.mark.parametrize(
    "token",
    [
        {"token_type": "bearer", "expires_in": 3600},
        {"access_token": None, "token_type": "bearer"},
        {"access_token": "", "token_type": "bearer"},
        {"access_token": "a-token-to-keep", "token_type": "mac"},
        {"access_token": "a-token-to-keep", "token_type": "bearer", "expires_in": 0},
        {"access_token": ["a-token-to-keep"], "token_type": "bearer"},
    ],
)
def test_a_success_that_holds_no_token_is_never_used_as_one(token: JsonObject) -> None:
    shop = Shop(token=lambda _: httpx.Response(200, json=token))
    failure = failure_of(shop)
    assert isinstance(failure, RetryableError)
    assert shop.asked_paths() == ["/oauth/token"]
    assert "a-token-to-keep" not in f"{failure!r} {failure.__cause__!r} {failure.__cause__}"


@pytest.mark.parametrize("body", ["<html>Welcome to Airport Wi-Fi</html>", "", "[]", '{"orders": {}}', "{}"])
def test_a_success_that_is_no_page_of_orders_is_worth_another_try(body: str) -> None:
    failure = failure_of(Shop(orders=lambda _: httpx.Response(200, text=body)))
    assert isinstance(failure, RetryableError)
    assert "the answer is no OrderPage" in str(failure)
    assert "Wi-Fi" not in f"{failure} {failure.__cause__}"


def test_pages_that_lead_in_a_circle_end_in_an_error() -> None:
    after = {None: "x", "x": "y", "y": "x"}

    def page(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=EMPTY_PAGE | {"next_cursor": after[request.url.params.get("cursor")]})

    shop = Shop(orders=page)
    failure = failure_of(shop)
    assert isinstance(failure, PermanentError)
    assert "circle after 3 pages" in str(failure)
    assert shop.asked_paths().count("/v1/orders") == 3


def test_a_token_without_a_stated_life_is_used_until_it_is_refused() -> None:
    shop = Shop(token=lambda _: httpx.Response(200, json={"access_token": "t", "token_type": "Bearer"}))
    clock = ManualClock()
    with shop.client(clock) as client:
        list(client.orders())
        clock.advance(10**9)
        list(client.orders())
    assert shop.asked_paths() == ["/oauth/token", "/v1/orders", "/v1/orders"]


def test_a_short_lived_token_is_used_for_nine_tenths_of_its_life() -> None:
    shop = Shop(token=lambda _: httpx.Response(200, json=TOKEN | {"expires_in": 10}))
    clock = ManualClock()
    with shop.client(clock) as client:
        for seconds in (0, 8.9, 0.1):
            clock.advance(seconds)
            list(client.orders())
    assert shop.asked_paths() == ["/oauth/token", "/v1/orders", "/v1/orders", "/oauth/token", "/v1/orders"]


def test_credentials_of_any_characters_reach_the_shop_unchanged() -> None:
    credentials = Credentials("a:b c%41", "+ä&=:%")

    def token(request: httpx.Request) -> httpx.Response:
        tenant = signed_in_tenant(
            {"customer-a": credentials},
            authorization=request.headers["authorization"],
            content_type=request.headers["content-type"],
            body=request.content,
        )
        return httpx.Response(200, json=TOKEN | {"access_token": tenant})

    shop = Shop(token=token)
    with shop.client(credentials=credentials) as client:
        list(client.orders())
    assert shop.asked[1].headers["authorization"] == "Bearer customer-a"


def test_a_token_request_that_failed_is_made_anew_at_the_next_call() -> None:
    answers = iter([failing(httpx.ReadTimeout("no luck")), answering(503), Shop().token])
    shop = Shop(token=lambda request: next(answers)(request))
    with shop.client() as client:
        for _ in range(2):
            with pytest.raises(RetryableError):
                list(client.orders())
        assert list(client.orders()) == [[]]


def test_every_request_has_a_timeout_the_token_request_too() -> None:
    shop = Shop()
    with shop.client() as client:
        list(client.orders())
    assert shop.asked_paths() == ["/oauth/token", "/v1/orders"]
    assert [request.extensions["timeout"] for request in shop.asked] == [TIMEOUT.as_dict()] * 2


def test_messages_show_neither_the_cursor_nor_what_the_url_holds_of_a_user() -> None:
    pages = iter([httpx.Response(200, json=EMPTY_PAGE | {"next_cursor": "pg-7"}), httpx.Response(500)])
    shop = Shop(orders=lambda _: next(pages))
    with (
        shop.client(base_url="http://user:pass-word@shop.example") as client,
        pytest.raises(RetryableError, match=r"^GET http://shop\.example/v1/orders: answered 500 ") as failure,
    ):
        list(client.orders())
    assert "pass-word" not in f"{failure.value!r} {client!r}"


def test_nobody_listening_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        ShopClient(f"http://127.0.0.1:{port}", "an-id", "a-secret") as client,
        pytest.raises(RetryableError, match="no answer \\(ConnectError\\)"),
    ):
        list(client.orders())
