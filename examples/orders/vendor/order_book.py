"""What one account of the shop holds: its orders, as the API sends them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from examples.orders.vendor.cdnow import Purchase, read_purchases


class Order(TypedDict):
    """An order on the wire. Money is a string with two decimals, as shops send it."""

    id: str
    customer: str
    placed_on: str
    cds: int
    total: str
    currency: str


@with_config(ConfigDict(extra="forbid", strict=True))
class OrderChange(TypedDict, total=False):
    """What a PATCH may change (a JSON merge patch, RFC 7396, that removes nothing)."""

    cds: Annotated[int, Field(ge=1)]
    total: Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{2}$")]


ORDER_CHANGE = TypeAdapter(OrderChange)


class OrderBook:
    """The orders of one account, sorted by id."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._orders = {order["id"]: order for order in orders}
        self._ids = sorted(self._orders)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Order]:
        return (self._orders[order_id] for order_id in self._ids)

    def page(self, *, after: str, limit: int) -> tuple[list[Order], bool]:
        """Up to *limit* orders whose ids follow *after* (empty: from the first), and whether more follow."""
        start = bisect_right(self._ids, after)
        ids = self._ids[start : start + limit]
        return [self._orders[order_id] for order_id in ids], start + limit < len(self._ids)

    def change(self, order_id: str, change: OrderChange) -> Order | None:
        """The order after the change; None if the account has no such order."""
        order = self._orders.get(order_id)
        if order is None:
            return None
        changed: Order = {**order, **change}
        self._orders[order_id] = changed
        return changed


def order_books(*, most: int | None = None) -> dict[str, OrderBook]:
    """The two accounts of the shop, by tenant: customers with odd sample numbers, and with even ones.

    Args:
        most: only the first so many orders of each; None for all.
    """
    orders: dict[str, list[Order]] = {"customer-a": [], "customer-b": []}
    for purchase in read_purchases():
        tenant = "customer-a" if purchase.sample_number % 2 else "customer-b"
        orders[tenant].append(_order(purchase))
    return {tenant: OrderBook(of_tenant[:most]) for tenant, of_tenant in orders.items()}


def _order(purchase: Purchase) -> Order:
    return {
        "id": f"cdnow-{purchase.row:06d}",
        "customer": purchase.customer,
        "placed_on": purchase.placed_on.isoformat(),
        "cds": purchase.cds,
        "total": f"{purchase.dollars:.2f}",
        "currency": "USD",
    }
