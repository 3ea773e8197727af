from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api_exchange_core.domain.errors import PermanentError, TenantError
from examples.orders.client import ShopClient, ShopClients
from examples.orders.tests.manual_clock import ManualClock
from examples.orders.vendor import VendorApi

NO_SUCH_ACCOUNT = ("nobody", "a-secret-that-no-message-shows")


@pytest.fixture
def shop(vendor: VendorApi, clock: ManualClock) -> Iterator[ShopClient]:
    with ShopClient(vendor.url, *vendor.credentials("customer-a"), clock=clock) as client:
        yield client


class Requests:
    """Counts what the shop is asked from now on."""

    def __init__(self, vendor: VendorApi) -> None:
        self._vendor = vendor
        self._before = vendor.requests

    def count(self, path: str) -> int:
        return self._vendor.requests.get(path, 0) - self._before.get(path, 0)


@pytest.fixture
def requests(vendor: VendorApi) -> Requests:
    return Requests(vendor)


def test_every_order_of_the_account_comes_once(shop: ShopClient) -> None:
    ids = [order["id"] for order in shop.get_data()]
    assert len(ids) == len(set(map(str, ids))) == 3578


def test_pages_are_the_largest_the_shop_gives(shop: ShopClient) -> None:
    assert [len(page) for page in shop.orders()] == [500] * 7 + [78]


def test_a_page_is_fetched_only_when_it_is_asked_for(shop: ShopClient, requests: Requests) -> None:
    pages = shop.orders()
    assert requests.count("/v1/orders") == 0
    next(pages)
    assert requests.count("/v1/orders") == 1


def test_one_token_serves_all_pages(shop: ShopClient, requests: Requests) -> None:
    list(shop.orders())
    assert (requests.count("/oauth/token"), requests.count("/v1/orders")) == (1, 8)


def test_a_token_is_renewed_shortly_before_it_expires(
    shop: ShopClient, clock: ManualClock, requests: Requests
) -> None:
    next(shop.orders())
    clock.advance(269)
    next(shop.orders())
    assert requests.count("/oauth/token") == 1
    clock.advance(1)
    next(shop.orders())
    assert (requests.count("/oauth/token"), requests.count("/v1/orders")) == (2, 3)


def test_a_token_that_the_shop_no_longer_knows_is_renewed_once_and_unnoticed(
    vendor: VendorApi, clock: ManualClock, requests: Requests
) -> None:
    standing_still = ManualClock()
    with ShopClient(vendor.url, *vendor.credentials("customer-a"), clock=standing_still) as shop:
        pages = shop.orders()
        next(pages)
        clock.advance(300)
        assert len(next(pages)) == 500
    assert (requests.count("/oauth/token"), requests.count("/v1/orders")) == (2, 3)


def test_threads_share_one_token(shop: ShopClient, requests: Requests) -> None:
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: next(shop.orders()), range(16)))
    assert [len(page) for page in pages] == [500] * 16
    assert requests.count("/oauth/token") == 1


def test_wrong_credentials_are_permanent_and_named_without_the_secret(vendor: VendorApi) -> None:
    with (
        ShopClient(vendor.url, *NO_SUCH_ACCOUNT) as shop,
        pytest.raises(
            PermanentError, match=r"POST .*/oauth/token: answered 401 .*check the client id"
        ) as refusal,
    ):
        next(shop.orders())
    assert NO_SUCH_ACCOUNT[1] not in f"{refusal.value!r} {shop!r} {vars(shop)!r}"


def test_a_changed_order_is_returned_and_read_again(shop: ShopClient) -> None:
    changed = shop.change_order("cdnow-000002", {"cds": 7})
    assert changed["cds"] == 7
    assert changed in next(shop.orders())


def test_a_change_of_an_order_that_is_not_there_is_permanent(shop: ShopClient) -> None:
    with pytest.raises(PermanentError, match="answered 404"):
        shop.change_order("../orders?limit=1", {"cds": 7})


@pytest.mark.parametrize("base_url", ["", "127.0.0.1:8000", "ftp://shop.example", "https://"])
def test_a_base_url_that_is_no_web_address_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url must be"):
        ShopClient(base_url, "id", "secret")


@pytest.fixture
def both(vendor: VendorApi) -> Iterator[dict[str, ShopClient]]:
    with (
        ShopClient(vendor.url, *vendor.credentials("customer-a")) as shop_a,
        ShopClient(vendor.url, *vendor.credentials("customer-b")) as shop_b,
    ):
        yield {"customer-a": shop_a, "customer-b": shop_b}


def test_each_tenant_reads_its_own_account(both: dict[str, ShopClient]) -> None:
    tenant = "customer-a"
    shops = ShopClients(both, lambda: tenant)
    ids_of_a = {str(order["id"]) for order in shops.get_data()}
    tenant = "customer-b"
    ids_of_b = {str(order["id"]) for order in shops.get_data()}
    assert (len(ids_of_a), len(ids_of_b), ids_of_a & ids_of_b) == (3578, 3341, set())


def test_orders_stay_with_the_tenant_that_asked_for_them(both: dict[str, ShopClient]) -> None:
    tenant = "customer-a"
    orders = ShopClients(both, lambda: tenant).get_data()
    tenant = "customer-b"
    assert next(orders) == next(both["customer-a"].get_data())


def test_a_tenant_without_an_account_is_refused_before_any_request(
    both: dict[str, ShopClient], requests: Requests
) -> None:
    with pytest.raises(TenantError, match="'customer-c' has no account"):
        ShopClients(both, lambda: "customer-c").get_data()
    assert requests.count("/v1/orders") == 0
