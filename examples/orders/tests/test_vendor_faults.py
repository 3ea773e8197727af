"""What the shop does wrong when it is told to, one fault a request, and that it is itself again afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from examples.orders.vendor import Fault, VendorApi

ORDERS = {"limit": "5"}


@pytest.fixture
def troubled() -> Iterator[VendorApi]:
    with VendorApi() as vendor:
        vendor.faults.slow = timedelta(milliseconds=50)
        vendor.faults.retry_after = timedelta(seconds=7)
        yield vendor


@pytest.fixture
def shop(troubled: VendorApi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=troubled.url, trust_env=False) as client:
        answer = client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=troubled.credentials("customer-a"),
        )
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def test_each_planned_fault_is_met_once_and_in_turn(shop: httpx.Client, troubled: VendorApi) -> None:
    troubled.faults.plan([Fault.FAIL, None, Fault.THROTTLE])
    answers = [shop.get("/v1/orders", params=ORDERS) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [500, 200, 429, 200]
    assert answers[2].headers["Retry-After"] == "7"
    assert troubled.faults.happened == {Fault.FAIL: 1, Fault.THROTTLE: 1}


def test_a_dropped_connection_ends_in_the_middle_of_the_page_and_leaves_no_log_line(
    shop: httpx.Client, troubled: VendorApi, caplog: pytest.LogCaptureFixture
) -> None:
    troubled.faults.plan([Fault.DROP])
    with caplog.at_level(logging.INFO), pytest.raises(httpx.RemoteProtocolError):
        shop.get("/v1/orders", params=ORDERS)
    assert len(shop.get("/v1/orders", params=ORDERS).json()["orders"]) == 5
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_a_slow_page_outlasts_an_impatient_client(shop: httpx.Client, troubled: VendorApi) -> None:
    troubled.faults.plan([Fault.SLOW])
    with pytest.raises(httpx.ReadTimeout):
        shop.get("/v1/orders", params=ORDERS, timeout=0.01)


def test_a_revoked_token_is_refused_from_the_page_on_that_revokes_it(
    shop: httpx.Client, troubled: VendorApi
) -> None:
    troubled.faults.plan([Fault.REVOKE])
    assert [shop.get("/v1/orders", params=ORDERS).status_code for _ in range(2)] == [401, 401]


def test_a_page_that_loops_names_itself_as_the_next_one(shop: httpx.Client, troubled: VendorApi) -> None:
    second = shop.get("/v1/orders", params=ORDERS).json()["next_cursor"]
    troubled.faults.plan([Fault.LOOP])
    looped = shop.get("/v1/orders", params={**ORDERS, "cursor": second}).json()
    assert looped["next_cursor"] == second
    assert shop.get("/v1/orders", params={**ORDERS, "cursor": second}).json()["next_cursor"] != second
