"""What a client makes of an API's answers."""

from __future__ import annotations

import gzip
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core import (
    DeclarationError,
    DeferError,
    PermanentError,
    RetryableError,
    TransientError,
    tenant_context,
)
from api_exchange_core.application.budget_shares import BudgetShares
from api_exchange_core.application.services import Services
from api_exchange_core.domain.deadline import Deadline
from api_exchange_core.domain.names import TenantId
from api_exchange_core.http import ApiClient, Budget, Limits, TokenAuth, answer_as, json_of
from api_exchange_testing import InMemoryBudgets, InMemoryContainer, RecordingObserver, VirtualClock
from packages.core.tests.http.conftest import SECRET, FakeApi, Tokens, client_of, seconds

OK = httpx.Response(200, json={"id": 1})
BUSY = httpx.Response(429, headers={"retry-after": "2"})
DOWN = httpx.Response(503)
NOON = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_answer_comes_back_whole(client: ApiClient, api: FakeApi) -> None:
    packed = {"content-encoding": "gzip", "x-a": "b"}
    api.answers = [
        lambda _: httpx.Response(200, headers=packed, stream=httpx.ByteStream(gzip.compress(b"[1]")))
    ]
    answer = client.get("/orders", params={"limit": 5})
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (200, [1], "b")
    assert str(api.requests[0].url) == "https://shop.example/v1/orders?limit=5"
    assert api.requests[0].headers["authorization"] == f"Bearer {SECRET}-1"


def test_bodies_are_sent(client: ApiClient, api: FakeApi) -> None:
    api.answers = [OK]
    client.post("/orders", json={"a": 1}, idempotency_key="m-1")
    client.request("PUT", "/orders", data={"a": "1"})
    client.request("PUT", "/orders", content=b"raw", headers={"content-type": "text/plain"})
    assert [request.content for request in api.requests] == [b'{"a":1}', b"a=1", b"raw"]
    assert api.requests[0].headers["idempotency-key"] == "m-1"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_what_passes_is_tried_again_in_place_and_then_left_to_the_function(
    client: ApiClient, api: FakeApi, status: int
) -> None:
    api.answers = [httpx.Response(status), OK]
    assert client.get("/orders").status_code == 200
    api.answers = [httpx.Response(status)]
    with pytest.raises(RetryableError, match=rf"GET https://shop.example/v1/orders: answered {status}"):
        client.get("/orders")
    assert len(api.requests) == 2 + 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_what_does_not_pass_is_permanent_and_not_tried_again(
    client: ApiClient, api: FakeApi, status: int
) -> None:
    api.answers = [httpx.Response(status, text=SECRET)]
    with pytest.raises(PermanentError, match=f"answered {status}") as failure:
        client.get(f"/orders?key={SECRET}", params={"cursor": SECRET})
    assert SECRET not in "".join(traceback.format_exception(failure.value))
    assert len(api.requests) == (2 if status == 401 else 1)


def test_a_status_that_is_accepted_is_an_answer(client: ApiClient, api: FakeApi) -> None:
    api.answers = [httpx.Response(404)]
    assert client.get("/orders/1", accept={404}).status_code == 404


@pytest.mark.parametrize(
    ("method", "key", "sent"),
    [("POST", None, 1), ("PATCH", None, 1), ("POST", "m-1", 3), ("PUT", None, 3)],
)
def test_only_what_may_have_its_effect_twice_is_sent_again_after_a_failure(
    client: ApiClient, api: FakeApi, method: str, key: str | None, sent: int
) -> None:
    for failure in (DOWN, httpx.ReadTimeout("")):
        api.requests.clear()
        api.answers = [failure]
        with pytest.raises(RetryableError):
            client.request(method, "/orders", json={}, idempotency_key=key)
        assert len(api.requests) == sent


@pytest.mark.parametrize("error", [httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.PoolTimeout("")])
def test_what_was_never_sent_is_sent_again_whatever_it_is(
    client: ApiClient, api: FakeApi, error: httpx.HTTPError
) -> None:
    api.answers = [error, OK]
    assert client.post("/orders", json={}).status_code == 200


def test_pauses_between_tries_are_random_and_grow(client: ApiClient, api: FakeApi) -> None:
    api.answers = [DOWN]
    with pytest.raises(RetryableError):
        client.get("/orders")
    first, second, third = api.times
    assert 0 < second - first < 0.2
    assert 0 < third - second < 0.4


def test_a_short_wait_that_the_api_asks_for_is_waited_in_place(client: ApiClient, api: FakeApi) -> None:
    api.answers = [BUSY, OK]
    assert client.post("/orders", json={}).status_code == 200
    assert api.times == [0, 2]


def test_a_long_wait_is_deferred_in_full_and_holds_for_the_tenants_next_call(
    client: ApiClient, api: FakeApi, clock: VirtualClock
) -> None:
    api.answers = [httpx.Response(429, headers={"retry-after": "3600"}), OK]
    with pytest.raises(DeferError) as deferred:
        client.get("/orders")
    assert deferred.value.delay == seconds(3600)
    clock.advance(seconds(600))
    with pytest.raises(DeferError, match="tenant 'customer-a' may ask API 'shop' again in 0:50:00") as again:
        client.get("/other")
    assert again.value.delay == seconds(3000)
    assert len(api.requests) == 1
    with tenant_context("customer-b"):
        assert client.get("/orders").status_code == 200
    clock.advance(seconds(3000))
    assert client.get("/orders").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"retry-after": "60"}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"}]
)
def test_a_403_that_comes_with_a_wait_is_a_limit_and_no_refusal(
    client: ApiClient, api: FakeApi, headers: dict[str, str]
) -> None:
    api.answers = [httpx.Response(403, headers=headers)]
    with pytest.raises(DeferError) as deferred:
        client.post("/orders", json={})
    assert deferred.value.delay == seconds(60)
    assert len(api.requests) == 1


def test_an_answer_is_not_lost_where_the_store_cannot_hear_of_a_wait(
    container: InMemoryContainer, api: FakeApi, services: Services
) -> None:
    class Deaf(InMemoryBudgets):
        @override
        def close(self, tenant_id: TenantId, *, api: str, until: datetime) -> None:
            raise TransientError("not today")

    shares = BudgetShares(Deaf(container.store()), services.clock)
    api.answers = [httpx.Response(200, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"})]
    client = client_of(api, budget=Budget(10))
    with replace(services, budgets=shares).at_work():
        assert client.post("/orders", json={}).status_code == 200
        with pytest.raises(DeferError):
            client.get("/orders")
    observer = container.observer()
    assert isinstance(observer, RecordingObserver)
    assert [(event.name, event.facts["api"]) for event in observer.events] == [("budget.unreachable", "shop")]


def test_each_hop_of_a_redirect_counts(api: FakeApi) -> None:
    api.answers = [httpx.Response(301, headers={"location": "/v2/orders"}), OK]
    client_of(api, budget=Budget(1, burst=1)).get("/orders")
    assert api.times == [0, 1]


def test_a_503_with_a_wait_spends_an_attempt_and_says_how_long(client: ApiClient, api: FakeApi) -> None:
    api.answers = [httpx.Response(503, headers={"retry-after": "60"})]
    with pytest.raises(RetryableError) as failure:
        client.get("/orders")
    assert failure.value.retry_after == seconds(60)


def test_a_429_that_asks_for_no_wait_spends_attempts_rather_than_come_back_at_once_for_ever(
    client: ApiClient, api: FakeApi
) -> None:
    api.answers = [httpx.Response(429, headers={"retry-after": "0"})]
    with pytest.raises(RetryableError) as failure:
        client.get("/orders")
    assert failure.value.retry_after is None
    assert len(api.requests) == 3


def test_an_answer_that_says_nothing_is_left_lets_the_next_call_wait(client: ApiClient, api: FakeApi) -> None:
    used_up = {"ratelimit": '"default";r=0;t=3', "ratelimit-policy": '"default";q=10;w=60'}
    api.answers = [httpx.Response(200, headers=used_up), OK]
    client.get("/orders")
    client.get("/orders")
    assert api.times == [0, 3]


def test_patience_is_for_all_waits_of_a_request_together(client: ApiClient, api: FakeApi) -> None:
    api.answers = [BUSY, BUSY, httpx.Response(429, headers={"retry-after": "2"})]
    client = client_of(api, limits=Limits(tries=9, patience=seconds(5)))
    with pytest.raises(DeferError):
        client.get("/orders")
    assert api.times == [0, 2, 4]


def test_a_budget_paces_requests_and_defers_what_would_wait_for_long(api: FakeApi) -> None:
    api.answers = [OK]
    client = client_of(api, budget=Budget(1, per=seconds(2), burst=2))
    for _ in range(4):
        client.get("/orders")
    assert api.times == [0, 0, 2, 4]
    slow = client_of(api, name="slow", budget=Budget(1, per=timedelta(hours=1)))
    slow.get("/orders")
    with pytest.raises(DeferError) as deferred:
        slow.get("/orders")
    assert deferred.value.delay == timedelta(hours=1)


def test_a_wait_that_one_instance_learns_holds_for_all_that_share_the_budget(
    container: InMemoryContainer, api: FakeApi, services: Services
) -> None:
    budget = Budget(100)
    api.answers = [httpx.Response(429, headers={"retry-after": "3600"}), OK]
    with pytest.raises(DeferError):
        client_of(api, budget=budget).get("/orders")
    elsewhere = replace(services, budgets=BudgetShares(container.use_cases.budgets(), services.clock))
    with elsewhere.at_work(), pytest.raises(DeferError) as deferred:
        client_of(api, budget=budget).get("/orders")
    assert deferred.value.delay == seconds(3600)
    assert len(api.requests) == 1


class TestNearTheDeadline:
    @pytest.fixture
    def deadline(self) -> Deadline:
        return Deadline(NOON + seconds(4))

    def test_a_wait_that_would_outlast_it_is_deferred(self, client: ApiClient, api: FakeApi) -> None:
        api.answers = [httpx.Response(429, headers={"retry-after": "3.5"}), OK]
        with pytest.raises(DeferError) as deferred:
            client.get("/orders")
        assert deferred.value.delay == seconds(3.5)

    def test_timeouts_end_with_it(self, client: ApiClient, api: FakeApi) -> None:
        seen = []
        api.answers = [lambda request: seen.append(request.extensions["timeout"]) or httpx.Response(200)]  # type: ignore[func-returns-value]  # for the value after it
        client.get("/orders")
        assert seen == [{"connect": 3.0, "read": 4.0, "write": 4.0, "pool": 4.0}]

    def test_no_request_is_begun_at_its_very_end(
        self, client: ApiClient, api: FakeApi, clock: VirtualClock
    ) -> None:
        clock.advance(seconds(3.5))
        with pytest.raises(DeferError, match="about to end"):
            client.get("/orders")
        assert api.requests == []


# Answers that are too much


def test_an_answer_that_announces_too_much_is_not_read(api: FakeApi) -> None:
    api.answers = [httpx.Response(200, content=b"x" * 101)]
    with pytest.raises(PermanentError, match="more than 100 bytes, which is max_bytes"):
        client_of(api, limits=Limits(max_bytes=100)).get("/orders")


def test_an_answer_that_is_too_much_once_it_is_unpacked_is_refused(api: FakeApi) -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    api.answers = [
        lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(bomb))
    ]
    with pytest.raises(PermanentError, match="more than 100,000 bytes"):
        client_of(api, limits=Limits(max_bytes=100_000)).get("/orders")
    api.answers = [OK]
    assert client_of(api, limits=Limits(max_bytes=8)).get("/orders").content == b'{"id":1}'


def test_an_answer_that_drips_for_ever_is_given_up(api: FakeApi, clock: VirtualClock) -> None:
    class Dripping(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]  # of a stream that never ends
            while True:
                clock.advance(seconds(9))
                yield b"x"

    api.answers = [lambda _: httpx.Response(200, stream=Dripping())]
    with pytest.raises(RetryableError, match="did not come to its end in time"):
        client_of(api).get("/orders")
    assert clock.now() < NOON + seconds(70)


# Other hosts


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/v1/x",
        "http://shop.example/v1/x",
        "https://shop.example:444/",
        "https://shop.example.evil.example/",
    ],
)
def test_no_address_of_another_origin_gets_the_token(client: ApiClient, api: FakeApi, target: str) -> None:
    with pytest.raises(PermanentError, match="does not get its credentials"):
        client.get(target)
    assert api.requests == []


@pytest.mark.parametrize("path", ["//evil.example/x", "@evil.example/x", ":80@evil.example/", "/orders"])
def test_whatever_a_path_looks_like_it_stays_at_the_api(client: ApiClient, api: FakeApi, path: str) -> None:
    api.answers = [OK]
    client.get(path)
    assert api.requests[0].url.host == "shop.example"


@pytest.mark.parametrize("location", ["https://evil.example/", "//evil.example/", "http://shop.example/"])
def test_a_redirect_to_another_host_is_refused(client: ApiClient, api: FakeApi, location: str) -> None:
    api.answers = [httpx.Response(302, headers={"location": location})]
    with pytest.raises(PermanentError, match="answered 302 Found, and redirects are followed for GET"):
        client.get("/orders")
    assert len(api.requests) == 1


def test_a_redirect_within_the_host_is_followed_for_what_only_reads(client: ApiClient, api: FakeApi) -> None:
    moved = httpx.Response(301, headers={"location": "/v2/orders"})
    api.answers = [moved, OK]
    assert client.get("/orders").status_code == 200
    assert [request.url.path for request in api.requests] == ["/v1/orders", "/v2/orders"]
    api.answers = [moved]
    with pytest.raises(PermanentError, match="answered 301"):
        client.post("/orders", json={})
    with pytest.raises(PermanentError, match="answered 301"):
        client.get("/orders")
    assert len(api.requests) == 2 + 1 + 6


def test_no_cookie_of_one_tenant_is_sent_for_another(client: ApiClient, api: FakeApi) -> None:
    api.answers = [httpx.Response(200, headers={"set-cookie": "session=customer-a; Path=/"})]
    client.get("/orders")
    with tenant_context("customer-b"):
        client.get("/orders")
    assert "cookie" not in api.requests[1].headers


def test_a_base_url_may_be_each_tenants_own(api: FakeApi) -> None:
    api.answers = [OK]
    client = client_of(api, base_url=lambda tenant: f"https://{tenant}.shop.example")
    client.get("/orders")
    with tenant_context("customer-b"):
        client.get("/orders")
    assert [request.url.host for request in api.requests] == [
        "customer-a.shop.example",
        "customer-b.shop.example",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example",
        "https://",
        f"https://me:{SECRET}@shop.example",
        f"https://shop.example?key={SECRET}",
        "https://[::1",
    ],
)
def test_a_base_url_that_is_none_is_refused_at_once_and_not_shown(url: str) -> None:
    with pytest.raises(DeclarationError, match="its base URL is") as failure:
        ApiClient("shop", base_url=url)
    assert SECRET not in str(failure.value)


# Tokens


def test_a_token_that_is_refused_is_given_up_once_and_the_request_sent_again(
    client: ApiClient, api: FakeApi, tokens: Tokens
) -> None:
    api.answers = [httpx.Response(401, content=b"x" * 1000), OK]
    assert client.post("/orders", json={"a": 1}).status_code == 200
    assert tokens.given_up == ["id-1"]
    assert [request.headers["authorization"][-1] for request in api.requests] == ["1", "2"]
    assert [request.content for request in api.requests] == [b'{"a":1}'] * 2


def test_a_second_refusal_is_no_matter_of_the_token(client: ApiClient, api: FakeApi, tokens: Tokens) -> None:
    api.answers = [httpx.Response(401)]
    with pytest.raises(PermanentError, match="answered 401 Unauthorized; check this tenant's account"):
        client.get("/orders")
    assert tokens.given_up == ["id-1"]
    assert len(api.requests) == 2


def test_a_token_goes_into_whatever_header_the_api_wants(api: FakeApi, tokens: Tokens) -> None:
    api.answers = [OK]
    client_of(api, auth=TokenAuth(tokens, header="X-Shop-Token", scheme="")).get("/orders")
    assert api.requests[0].headers["x-shop-token"] == f"{SECRET}-1"
    with pytest.raises(DeclarationError, match="not both"):
        client_of(api, auth=TokenAuth(tokens), tokens=tokens)


def test_a_stream_that_was_refused_is_not_sent_again_and_says_so(api: FakeApi, tokens: Tokens) -> None:
    class Refuses(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(401)

    with (
        httpx.Client(transport=Refuses(), auth=TokenAuth(tokens)) as http,
        pytest.raises(RetryableError, match="a stream, which cannot be sent again: hand it over as bytes"),
    ):
        http.post("https://shop.example/", content=iter([b"a", b"b"]))
    assert tokens.given_up == ["id-1"]


def test_nothing_shows_a_token(client: ApiClient, tokens: Tokens, api: FakeApi) -> None:
    api.answers = [httpx.ConnectError(f"cannot reach {SECRET}")]
    with pytest.raises(RetryableError) as failure:
        client.get("/orders", params={"key": SECRET})
    assert SECRET not in f"{client!r} {TokenAuth(tokens)!r} {failure.value!r}"


# Answers as values


class Order(BaseModel):
    id: int


def test_an_answer_is_read_as_json_or_as_a_model(client: ApiClient, api: FakeApi) -> None:
    api.answers = [OK]
    assert json_of(client.get("/orders/1")) == {"id": 1}
    assert answer_as(Order, client.get("/orders/1")) == Order(id=1)


@pytest.mark.parametrize("body", [b"<html>", b'{"id": "a-secret-that-nothing-shows"}', b"\xff"])
def test_what_is_something_else_is_worth_another_try_and_not_shown(
    client: ApiClient, api: FakeApi, body: bytes
) -> None:
    api.answers = [httpx.Response(200, content=body)]
    with pytest.raises(RetryableError, match="the answer is no Order") as failure:
        answer_as(Order, client.get("/orders/1"))
    assert SECRET not in "".join(traceback.format_exception(failure.value))
    api.answers = [httpx.Response(200, content=b"<html>")]
    with pytest.raises(RetryableError, match="the answer is no JSON"):
        json_of(client.get("/orders/1"))


@pytest.mark.parametrize(
    "wrong", [{"read": seconds(0)}, {"tries": 0}, {"patience": seconds(-1)}, {"max_bytes": 0}]
)
def test_a_limit_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DeclarationError, match="Limits"):
        Limits(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_an_answer_to_head_tells_a_size_and_has_none(api: FakeApi) -> None:
    large = {"content-length": "1000000"}
    api.answers = [lambda _: httpx.Response(200, headers=large, stream=httpx.ByteStream(b""))]
    assert client_of(api, limits=Limits(max_bytes=100)).request("HEAD", "/export").status_code == 200


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,gzip,gzip", "br", "zstd"])
def test_an_answer_that_is_packed_beyond_what_a_read_can_be_unpacked_to_is_refused(
    client: ApiClient, api: FakeApi, coding: str
) -> None:
    """Packed twice, 64 KiB are 64 GiB before anybody can count them."""
    body = gzip.compress(gzip.compress(b"[" + b"0" * 1_000_000 + b"]"))
    api.answers = [
        lambda _: httpx.Response(200, headers={"content-encoding": coding}, stream=httpx.ByteStream(body))
    ]
    with pytest.raises(PermanentError, match="packed in a way that was not asked for"):
        client.get("/orders")
    assert api.requests[0].headers["accept-encoding"] == "gzip, deflate"


def test_a_redirect_takes_the_body_of_a_search_along(client: ApiClient, api: FakeApi) -> None:
    api.answers = [httpx.Response(307, headers={"location": "/v1/find"}), OK]
    client.request("GET", "/search", json={"query": "x"})
    assert [request.content for request in api.requests] == [b'{"query":"x"}'] * 2
