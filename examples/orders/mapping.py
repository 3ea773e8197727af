"""Between the shop's orders and canonical ones."""

from __future__ import annotations

from decimal import Decimal

from typing_extensions import override

from api_exchange_core import Mapper
from examples.orders.models import CanonicalOrder, OrderType, ShopOrder

EXPRESS_FROM = 5
"""CDs; an order of so many ships express."""


class ShopOrderMapper(Mapper[ShopOrder, CanonicalOrder]):
    """Maps both ways. Nothing is lost: there and back gives the order one started with."""

    @override
    def map(self, source: ShopOrder) -> CanonicalOrder:
        return CanonicalOrder(
            order_id=source.id,
            customer_id=source.customer,
            ordered_on=source.placed_on,
            items=source.cds,
            amount=source.total,
            currency=source.currency,
            order_type=order_type(items=source.cds, amount=source.total),
        )

    @override
    def unmap(self, canonical: CanonicalOrder) -> ShopOrder:
        """The order as the shop would send it. The order type stays behind: the shop knows none."""
        return ShopOrder(
            id=canonical.order_id,
            customer=canonical.customer_id,
            placed_on=canonical.ordered_on,
            cds=canonical.items,
            total=canonical.amount,
            currency=canonical.currency,
        )


def order_type(*, items: int, amount: Decimal) -> OrderType | None:
    """How an order ships; None for one that cost nothing, which somebody must look at first."""
    if amount == 0:
        return None
    return "express" if items >= EXPRESS_FROM else "standard"
