from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator

import httpx
import pytest

from examples.orders.vendor import Credentials, VendorApi


def signed_in(http: httpx.Client, credentials: Credentials) -> httpx.Client:
    answer = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=credentials)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return httpx.Client(base_url=http.base_url, headers=headers, trust_env=False)


@pytest.fixture(scope="module")
def shop_a(http: httpx.Client, vendor: VendorApi) -> Iterator[httpx.Client]:
    with signed_in(http, vendor.credentials("customer-a")) as client:
        yield client


@pytest.fixture(scope="module")
def shop_b(http: httpx.Client, vendor: VendorApi) -> Iterator[httpx.Client]:
    with signed_in(http, vendor.credentials("customer-b")) as client:
        yield client


def all_ids(shop: httpx.Client, limit: int) -> list[str]:
    ids: list[str] = []
    query = {"limit": str(limit)}
    while True:
        page = shop.get("/v1/orders", params=query).json()
        assert len(page["orders"]) <= limit
        ids += [order["id"] for order in page["orders"]]
        if page["next_cursor"] is None:
            assert page["total"] == len(ids)
            return ids
        query["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("limit", [500, 499, 250])
def test_following_the_cursor_gives_each_order_once_in_the_order_of_the_file(
    shop_a: httpx.Client, limit: int
) -> None:
    ids = all_ids(shop_a, limit)
    assert len(ids) == 3578
    assert ids == sorted(set(ids))


def test_the_last_full_page_has_no_next_one(shop_b: httpx.Client) -> None:
    assert 3341 % 257 == 0
    assert len(all_ids(shop_b, 257)) == 3341


def test_the_two_accounts_share_no_order_and_leave_none_out(
    shop_a: httpx.Client, shop_b: httpx.Client
) -> None:
    every_row = [f"cdnow-{row:06d}" for row in range(1, 6920)]
    assert sorted(all_ids(shop_a, 500) + all_ids(shop_b, 500)) == every_row


def test_an_order_sends_money_as_a_string(shop_a: httpx.Client) -> None:
    assert shop_a.get("/v1/orders?limit=1").json()["orders"] == [
        {
            "id": "cdnow-000001",
            "customer": "00004",
            "placed_on": "1997-01-01",
            "cds": 2,
            "total": "29.33",
            "currency": "USD",
        }
    ]


@pytest.mark.parametrize(("query", "orders"), [("", 100), ("?limit=1", 1), ("?limit=500", 500)])
def test_a_page_holds_as_many_orders_as_asked_for(shop_a: httpx.Client, query: str, orders: int) -> None:
    assert len(shop_a.get(f"/v1/orders{query}").json()["orders"]) == orders


@pytest.mark.parametrize("limit", ["0", "501", "-1", "", "ten", "1.0", "%2B1", "٣", "9" * 5000])
def test_a_limit_out_of_bounds_is_refused_and_not_clamped(shop_a: httpx.Client, limit: str) -> None:
    answer = shop_a.get(f"/v1/orders?limit={limit}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "from 1 to 500" in answer.json()["detail"]


@pytest.mark.parametrize("cursor", ["", "x", "%00", "cdnow-000001", urlsafe_b64encode(b"row 7").decode()])
def test_a_cursor_that_the_api_never_gave_out_is_refused(shop_a: httpx.Client, cursor: str) -> None:
    answer = shop_a.get(f"/v1/orders?cursor={cursor}")
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


def test_a_patch_changes_one_order_and_its_place_stays(shop_b: httpx.Client) -> None:
    before = shop_b.get("/v1/orders?limit=500").json()["orders"]
    target = before[250]
    answer = shop_b.patch(f"/v1/orders/{target['id']}", json={"cds": target["cds"] + 1, "total": "0.99"})
    changed = target | {"cds": target["cds"] + 1, "total": "0.99"}
    assert (answer.status_code, answer.json()) == (200, changed)
    assert shop_b.get("/v1/orders?limit=500").json()["orders"] == [*before[:250], changed, *before[251:]]


@pytest.mark.parametrize(
    "body",
    [
        '{"cds": 0}',
        '{"cds": "3"}',
        '{"cds": null}',
        '{"total": 29.33}',
        '{"total": "29.3"}',
        '{"total": "29.33\\n"}',
        '{"id": "cdnow-000009"}',
        "[]",
        "{",
        "",
    ],
)
def test_a_patch_that_makes_no_valid_order_is_refused_whole(shop_a: httpx.Client, body: str) -> None:
    before = shop_a.get("/v1/orders?limit=1").json()["orders"]
    answer = shop_a.patch("/v1/orders/cdnow-000001", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert shop_a.get("/v1/orders?limit=1").json()["orders"] == before


def test_an_order_of_another_account_is_not_there(shop_a: httpx.Client, shop_b: httpx.Client) -> None:
    before = shop_a.get("/v1/orders?limit=1").json()["orders"]
    answer = shop_b.patch("/v1/orders/cdnow-000001", json={"cds": 40})
    assert answer.status_code == 404
    assert shop_a.get("/v1/orders?limit=1").json()["orders"] == before


def test_a_patch_needs_a_token(http: httpx.Client) -> None:
    assert http.patch("/v1/orders/cdnow-000001", json={"cds": 3}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/customers", 404), ("DELETE", "/v1/orders", 405), ("GET", "/oauth/token", 405)],
)
def test_a_path_or_method_that_is_not_offered_is_a_problem(
    shop_a: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = shop_a.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
