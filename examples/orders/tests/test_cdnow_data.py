from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date
from decimal import Decimal

import pytest

from examples.orders.vendor.cdnow import DATA_FILE, Purchase, read_purchases


@pytest.fixture(scope="module")
def purchases() -> list[Purchase]:
    return list(read_purchases())


def test_the_file_is_the_published_one_byte_for_byte() -> None:
    content = DATA_FILE.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest == "6fae10155c0b0ba363c2c386e30f77990d22328220efd862a5edd1443420d94a"
    assert digest in (DATA_FILE.parent / "README.md").read_text(encoding="utf-8")
    assert content.count(b"\r\n") == content.count(b"\n") == 6919


def test_6919_orders_of_2357_customers_span_eighteen_months(purchases: list[Purchase]) -> None:
    assert len(purchases) == 6919
    assert {purchase.sample_number for purchase in purchases} == set(range(1, 2358))
    assert len({(purchase.customer, purchase.sample_number) for purchase in purchases}) == 2357
    days = [purchase.placed_on for purchase in purchases]
    assert (min(days), max(days)) == (date(1997, 1, 1), date(1998, 6, 30))


def test_21_rows_equal_an_earlier_row(purchases: list[Purchase]) -> None:
    distinct = {(each.sample_number, each.placed_on, each.cds, each.dollars) for each in purchases}
    assert len(purchases) - len(distinct) == 21


def test_8_orders_cost_nothing_and_are_one_cd_each(purchases: list[Purchase]) -> None:
    free = [purchase for purchase in purchases if purchase.dollars == 0]
    assert [purchase.cds for purchase in free] == [1] * 8


def test_odd_and_even_sample_numbers_split_the_customers_in_two(purchases: list[Purchase]) -> None:
    orders = Counter(purchase.sample_number % 2 for purchase in purchases)
    customers = Counter(number % 2 for number in {purchase.sample_number for purchase in purchases})
    assert orders == {1: 3578, 0: 3341}
    assert customers == {1: 1179, 0: 1178}


def test_the_first_row_is_read_column_by_column(purchases: list[Purchase]) -> None:
    assert purchases[0] == Purchase(
        row=1,
        customer="00004",
        sample_number=1,
        placed_on=date(1997, 1, 1),
        cds=2,
        dollars=Decimal("29.33"),
    )
