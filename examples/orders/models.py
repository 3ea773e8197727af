"""An order in the shop's words and in ours."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

JsonObject: TypeAlias = dict[str, JsonValue]

CENTS = Decimal("0.01")

Money = Annotated[
    Decimal,
    Field(ge=0, max_digits=12, decimal_places=2),
    # 29.3 and 29.30 are one amount; written in one way they are one content, and no new version.
    AfterValidator(lambda amount: amount.quantize(CENTS)),
]
CurrencyCode = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]*$")
]  # no store takes NUL
OrderType = Literal["express", "standard"]


class ShopOrder(BaseModel):
    """An order as the shop's API sends it; fields that the shop adds one day are ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: Name
    customer: Name
    placed_on: date
    cds: int = Field(ge=1)
    total: Money
    currency: CurrencyCode


class CanonicalOrder(BaseModel):
    """An order as every step after the transformation knows it, whichever shop it came from.

    Attributes:
        ordered_on: the day in the shop's time zone.
        amount: what the whole order cost.
        order_type: None where no rule gives one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    order_id: Name
    customer_id: Name
    ordered_on: date
    items: int = Field(ge=1)
    amount: Money
    currency: CurrencyCode
    order_type: OrderType | None
