from __future__ import annotations

from base64 import b64encode

import httpx
import pytest

from examples.orders.tests.manual_clock import ManualClock
from examples.orders.vendor import VendorApi

GRANT = {"grant_type": "client_credentials"}


def token_from(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert isinstance(token, str)
    return token


def sign_in(http: httpx.Client, vendor: VendorApi, tenant: str) -> str:
    return token_from(http.post("/oauth/token", data=GRANT, auth=vendor.credentials(tenant)))


def orders_status(http: httpx.Client, token: str) -> int:
    return http.get("/v1/orders?limit=1", headers={"Authorization": f"Bearer {token}"}).status_code


def test_basic_credentials_give_a_bearer_token_that_is_never_cached(
    http: httpx.Client, vendor: VendorApi
) -> None:
    answer = http.post("/oauth/token", data=GRANT, auth=vendor.credentials("customer-a"))
    assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 300
    assert answer.headers["cache-control"] == "no-store"


def test_credentials_in_the_form_do_as_well(http: httpx.Client, vendor: VendorApi) -> None:
    form = GRANT | vendor.credentials("customer-a")._asdict()
    token = token_from(http.post("/oauth/token", data=form))
    assert orders_status(http, token) == 200


def test_each_token_is_another_one_and_the_older_stays_valid(http: httpx.Client, vendor: VendorApi) -> None:
    first, second = sign_in(http, vendor, "customer-a"), sign_in(http, vendor, "customer-a")
    assert first != second
    assert orders_status(http, first) == orders_status(http, second) == 200


def test_a_token_works_until_the_second_it_expires(
    http: httpx.Client, vendor: VendorApi, clock: ManualClock
) -> None:
    token = sign_in(http, vendor, "customer-a")
    clock.advance(299)
    assert orders_status(http, token) == 200
    clock.advance(1)
    assert orders_status(http, token) == 401


def test_an_expired_token_is_answered_with_a_challenge(
    http: httpx.Client, vendor: VendorApi, clock: ManualClock
) -> None:
    token = sign_in(http, vendor, "customer-b")
    clock.advance(300)
    answer = http.get("/v1/orders", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_without_a_token_is_challenged_without_an_error_code(http: httpx.Client) -> None:
    answer = http.get("/v1/orders")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="shop"'


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda good: (good.client_id, "wrong"), id="secret"),
        pytest.param(lambda good: ("wrong", good.client_secret), id="id"),
        pytest.param(lambda good: ("", ""), id="empty"),
        pytest.param(lambda good: (good.client_id, "ungültig"), id="non-ascii"),
    ],
)
def test_wrong_credentials_are_an_invalid_client(
    http: httpx.Client, vendor: VendorApi, wrong: object
) -> None:
    assert callable(wrong)
    client_id, client_secret = wrong(vendor.credentials("customer-a"))
    by_header = http.post("/oauth/token", data=GRANT, auth=(client_id, client_secret))
    by_form = http.post(
        "/oauth/token",
        data=GRANT | {"client_id": client_id, "client_secret": client_secret},
    )
    for answer in (by_header, by_form):
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_client"
        assert answer.headers["www-authenticate"].startswith("Basic")


def test_the_secret_of_another_account_is_wrong(http: httpx.Client, vendor: VendorApi) -> None:
    mixed = (vendor.credentials("customer-a").client_id, vendor.credentials("customer-b").client_secret)
    answer = http.post("/oauth/token", data=GRANT, auth=mixed)
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ("Basic %%%", "invalid_client"),
        ("Basic " + b64encode(b"\xff:\xff").decode(), "invalid_client"),
        ("Bearer abc", "invalid_client"),
    ],
)
def test_an_unreadable_authorization_header_is_an_invalid_client(
    http: httpx.Client, authorization: str, error: str
) -> None:
    answer = http.post("/oauth/token", data=GRANT, headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()["error"]) == (401, error)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("grant_type=password", "unsupported_grant_type"),
        ("scope=orders", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&client_secret=again", "invalid_request"),
        ("&".join(f"f{n}=1" for n in range(50)), "invalid_request"),
    ],
)
def test_a_malformed_token_request_names_the_error_of_rfc_6749(
    http: httpx.Client, vendor: VendorApi, body: str, error: str
) -> None:
    answer = http.post(
        "/oauth/token",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=vendor.credentials("customer-a"),
    )
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_token_request_in_json_is_refused(http: httpx.Client, vendor: VendorApi) -> None:
    answer = http.post("/oauth/token", json=GRANT, auth=vendor.credentials("customer-a"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
