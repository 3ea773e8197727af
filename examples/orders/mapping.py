"""Between the shop's orders and canonical ones."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from api_exchange_core.domain.errors import InvalidPayloadError
from examples.orders.models import CanonicalOrder, JsonObject, OrderType, ShopOrder

EXPRESS_FROM = 5
"""CDs; an order of so many ships express."""

_Model = TypeVar("_Model", bound=BaseModel)


class ShopOrderMapper:
    """Maps payloads both ways. Nothing is lost: there and back gives the order one started with."""

    def to_canonical(self, payload: Mapping[str, object]) -> JsonObject:
        """The canonical order, ready for JSON, of an order that the shop sent.

        Raises:
            InvalidPayloadError: the payload is no order of the shop.
        """
        order = _validated(ShopOrder, payload)
        canonical = CanonicalOrder(
            order_id=order.id,
            customer_id=order.customer,
            ordered_on=order.placed_on,
            items=order.cds,
            amount=order.total,
            currency=order.currency,
            order_type=order_type(items=order.cds, amount=order.total),
        )
        return canonical.model_dump(mode="json")

    def from_canonical(self, payload: Mapping[str, object]) -> JsonObject:
        """The order as the shop would send it. The order type stays behind: the shop knows none.

        Raises:
            InvalidPayloadError: the payload is no canonical order.
        """
        canonical = _validated(CanonicalOrder, payload)
        order = ShopOrder(
            id=canonical.order_id,
            customer=canonical.customer_id,
            placed_on=canonical.ordered_on,
            cds=canonical.items,
            total=canonical.amount,
            currency=canonical.currency,
        )
        return order.model_dump(mode="json")


def order_type(*, items: int, amount: Decimal) -> OrderType | None:
    """How an order ships; None for one that cost nothing, which somebody must look at first."""
    if amount == 0:
        return None
    return "express" if items >= EXPRESS_FROM else "standard"


def _validated(model: type[_Model], payload: Mapping[str, object]) -> _Model:
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise InvalidPayloadError(f"the payload is no {model.__name__}: {faults}") from error
