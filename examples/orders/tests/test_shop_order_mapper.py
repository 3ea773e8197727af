from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.errors import InvalidPayloadError
from examples.orders.mapping import ShopOrderMapper
from examples.orders.models import JsonObject
from examples.orders.vendor.order_book import order_books

mapper = ShopOrderMapper()


def to_canonical(payload: Mapping[str, object]) -> JsonObject:
    return mapper.to_canonical(payload).model_dump(mode="json")


def from_canonical(payload: Mapping[str, object]) -> JsonObject:
    return mapper.from_canonical(payload).model_dump(mode="json")


names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=255)
amounts = st.decimals(min_value=0, max_value=Decimal("9999999999.99"), places=2)


@st.composite
def shop_orders(draw: st.DrawFn) -> JsonObject:
    return {
        "id": draw(names),
        "customer": draw(names),
        "placed_on": draw(st.dates(min_value=date(1, 1, 1))).isoformat(),
        "cds": draw(st.integers(min_value=1, max_value=2**63)),
        "total": f"{draw(amounts):.2f}",
        "currency": draw(st.text(alphabet=ascii_uppercase, min_size=3, max_size=3)),
    }


@given(shop_orders())
def test_there_and_back_gives_the_same_order(order: JsonObject) -> None:
    assert from_canonical(to_canonical(order)) == order


@given(shop_orders())
def test_back_and_there_gives_the_same_canonical_order(order: JsonObject) -> None:
    canonical = to_canonical(order)
    assert to_canonical(from_canonical(canonical)) == canonical


@given(shop_orders())
def test_an_order_is_express_from_five_cds_standard_below_and_neither_for_nothing(order: JsonObject) -> None:
    assert isinstance(order["cds"], int)
    paid = "express" if order["cds"] >= 5 else "standard"
    assert to_canonical(order)["order_type"] == (None if order["total"] == "0.00" else paid)


def test_every_real_order_comes_back_and_has_the_type_its_account_shows() -> None:
    types: dict[str, Counter[object]] = {}
    for tenant, book in order_books().items():
        orders, more = book.page(after="", limit=len(book))
        assert not more
        canonical = [to_canonical(order) for order in orders]
        assert [from_canonical(each) for each in canonical] == orders
        types[tenant] = Counter(each["order_type"] for each in canonical)
    assert types == {
        "customer-a": {"express": 376, "standard": 3197, None: 5},
        "customer-b": {"express": 332, "standard": 3006, None: 3},
    }


def order(**fields: int | str) -> JsonObject:
    return {
        "id": "cdnow-000001",
        "customer": "00004",
        "placed_on": "1997-01-01",
        "cds": 2,
        "total": "29.33",
        "currency": "USD",
        **fields,
    }


def test_the_canonical_order_in_full() -> None:
    assert to_canonical(order()) == {
        "order_id": "cdnow-000001",
        "customer_id": "00004",
        "ordered_on": "1997-01-01",
        "items": 2,
        "amount": "29.33",
        "currency": "USD",
        "order_type": "standard",
    }


@pytest.mark.parametrize(
    ("cds", "order_type"), [(1, "standard"), (4, "standard"), (5, "express"), (40, "express")]
)
def test_the_border_between_standard_and_express(cds: int, order_type: str) -> None:
    assert to_canonical(order(cds=cds))["order_type"] == order_type


def test_five_cds_for_nothing_have_no_order_type() -> None:
    assert to_canonical(order(cds=5, total="0.00"))["order_type"] is None


@pytest.mark.parametrize("total", ["29.3", "29.30", "029.300"])
def test_an_amount_is_written_in_one_way(total: str) -> None:
    assert to_canonical(order(total=total))["amount"] == "29.30"


def test_a_field_that_the_shop_adds_is_ignored() -> None:
    assert to_canonical(order(gift_wrap="yes")) == to_canonical(order())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("cds", 0),
        ("cds", "two"),
        ("total", "-0.01"),
        ("total", "29.333"),
        ("total", "NaN"),
        ("placed_on", "1997-02-30"),
        ("currency", "usd"),
    ],
)
def test_what_is_no_order_is_refused_by_field_and_without_its_values(field: str, value: int | str) -> None:
    with pytest.raises(InvalidPayloadError, match=f"no valid ShopOrder: {field}: ") as refusal:
        to_canonical(order(**{field: value}))
    assert "00004" not in str(refusal.value)


def test_an_order_without_fields_is_refused_with_all_their_names() -> None:
    with pytest.raises(InvalidPayloadError, match=r"id: .*customer: .*placed_on: .*cds: .*total: "):
        to_canonical({})


def test_what_is_no_canonical_order_cannot_go_back() -> None:
    with pytest.raises(InvalidPayloadError, match="order_type"):
        from_canonical(to_canonical(order()) | {"order_type": "overnight"})
