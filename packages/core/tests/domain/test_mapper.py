from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, Field, JsonValue
from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError, InvalidPayloadError, PermanentError
from api_exchange_core.domain.mapper import Mapper


class ShopOrder(BaseModel):
    id: str
    amount: Decimal
    currency: str = "EUR"


class CanonicalOrder(BaseModel):
    order_id: str
    total: Decimal = Field(ge=0)


class TaxedOrder(CanonicalOrder):
    tax: Decimal


class ShopMapper(Mapper[ShopOrder, CanonicalOrder]):
    @override
    def map(self, source: ShopOrder) -> CanonicalOrder:
        return CanonicalOrder(order_id=source.id, total=source.amount)

    @override
    def unmap(self, canonical: CanonicalOrder) -> ShopOrder:
        return ShopOrder(id=canonical.order_id, amount=canonical.total)


class AddTax(Mapper[CanonicalOrder, TaxedOrder]):
    def __init__(self, rate: Decimal) -> None:
        self.rate = rate

    @override
    def map(self, source: CanonicalOrder) -> TaxedOrder:
        return TaxedOrder(order_id=source.order_id, total=source.total, tax=source.total * self.rate)

    @override
    def unmap(self, canonical: TaxedOrder) -> CanonicalOrder:
        return CanonicalOrder(order_id=canonical.order_id, total=canonical.total)


class Labels(Mapper[TaxedOrder, dict[str, JsonValue]]):
    @override
    def map(self, source: TaxedOrder) -> dict[str, JsonValue]:
        return {"label": f"{source.order_id}: {source.total + source.tax}"}


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InvalidPayloadError) as caught:
        call()
    # a chained error would be logged with the values that pydantic quotes
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_a_payload_becomes_a_canonical_model() -> None:
    order = ShopMapper().to_canonical({"id": "7", "amount": "19.90"})
    assert order == CanonicalOrder(order_id="7", total=Decimal("19.90"))


def test_an_instance_of_the_source_is_taken_as_well() -> None:
    order = ShopMapper().to_canonical(ShopOrder(id="7", amount=Decimal(1)))
    assert order == CanonicalOrder(order_id="7", total=Decimal(1))


def test_the_way_back_takes_json_or_an_instance() -> None:
    shop = ShopOrder(id="7", amount=Decimal(1))
    assert ShopMapper().from_canonical({"order_id": "7", "total": 1}) == shop
    assert ShopMapper().from_canonical(CanonicalOrder(order_id="7", total=Decimal(1))) == shop


def test_an_invalid_payload_is_refused_with_mapper_fields_and_reasons_but_without_values() -> None:
    told = refusal(lambda: ShopMapper().to_canonical({"amount": "a secret", "currency": 5}))
    assert told == (
        "ShopMapper: no valid ShopOrder: id: Field required; amount: Input should be a valid decimal; "
        "currency: Input should be a valid string"
    )


def test_what_a_mapper_makes_is_validated_too() -> None:
    told = refusal(lambda: ShopMapper().to_canonical({"id": "7", "amount": -1}))
    assert told == (
        "ShopMapper.map: made no valid CanonicalOrder: total: Input should be greater than or equal to 0"
    )
    told = refusal(lambda: Shapeless().to_canonical({"id": "a secret"}))
    assert told == "Shapeless.map: no valid CanonicalOrder: order_id: Field required; total: Field required"


class Shapeless(Mapper[dict[str, JsonValue], CanonicalOrder]):
    @override
    def map(self, source: dict[str, JsonValue]) -> CanonicalOrder:
        made: Any = {"identity": source["id"]}
        return made  # type: ignore[no-any-return]  # a mapper that does not keep its word is what is tested


def test_an_error_of_the_mappers_own_code_passes_unchanged() -> None:
    with pytest.raises(KeyError):
        Shapeless().to_canonical({})


def test_mappers_are_composed_from_left_to_right_and_back_from_right_to_left() -> None:
    mapper = ShopMapper() >> AddTax(Decimal("0.5"))
    taxed = mapper.to_canonical({"id": "7", "amount": "10"})
    assert taxed == TaxedOrder(order_id="7", total=Decimal(10), tax=Decimal(5))
    assert mapper.from_canonical(taxed) == ShopOrder(id="7", amount=Decimal(10))


def test_composition_is_associative() -> None:
    shop, tax, labels = ShopMapper(), AddTax(Decimal(1)), Labels()
    payload = {"id": "7", "amount": 2}
    left, right = (shop >> tax) >> labels, shop >> (tax >> labels)
    assert left.to_canonical(payload) == right.to_canonical(payload) == {"label": "7: 4"}
    assert left.name == right.name == "ShopMapper >> AddTax >> Labels"
    assert (left.source_type, left.canonical_type) == (ShopOrder, dict[str, JsonValue])


def test_a_composed_mapper_says_which_of_its_mappers_refused() -> None:
    mapper = ShopMapper() >> AddTax(Decimal(-1))
    assert refusal(lambda: mapper.to_canonical({"id": "7", "amount": -1})).startswith(
        "ShopMapper.map: made no"
    )
    assert refusal(lambda: mapper.to_canonical({})).startswith(
        "ShopMapper >> AddTax: no valid ShopOrder: id:"
    )


def test_mappers_whose_types_do_not_meet_cannot_be_composed() -> None:
    with pytest.raises(DeclarationError) as caught:
        AddTax(Decimal(1)) >> ShopMapper()  # type: ignore[operator]  # what mypy refuses too
    assert str(caught.value) == (
        "AddTax >> ShopMapper: the first gives TaxedOrder, the second takes ShopOrder; "
        "put a mapper between them"
    )


def test_a_mapper_may_give_a_subclass_of_what_the_next_one_takes() -> None:
    mapper = AddTax(Decimal(1)) >> AddTax(Decimal(2))  # type: ignore[operator]  # Mapper is invariant to mypy
    taxed = mapper.to_canonical({"order_id": "7", "total": 1})
    assert taxed == TaxedOrder(order_id="7", total=Decimal(1), tax=Decimal(2))


def test_a_mapper_without_a_way_back_says_so() -> None:
    taxed = TaxedOrder(order_id="7", total=Decimal(1), tax=Decimal(1))
    with pytest.raises(PermanentError, match="Labels maps one way only; give it an unmap method"):
        Labels().from_canonical({"label": "x"})
    with pytest.raises(PermanentError, match="Labels maps one way only"):
        (AddTax(Decimal(1)) >> Labels()).from_canonical({"label": "x"})
    assert Labels().to_canonical(taxed) == {"label": "7: 2"}


def shop_to_canonical(source: ShopOrder) -> CanonicalOrder:
    return CanonicalOrder(order_id=source.id, total=source.amount)


def canonical_to_shop(canonical: CanonicalOrder) -> ShopOrder:
    return ShopOrder(id=canonical.order_id, amount=canonical.total)


def test_a_mapper_can_be_made_of_two_functions() -> None:
    mapper = Mapper.of(shop_to_canonical, canonical_to_shop)
    order = mapper.to_canonical({"id": "7", "amount": 1})
    assert order == CanonicalOrder(order_id="7", total=Decimal(1))
    assert mapper.from_canonical(order) == ShopOrder(id="7", amount=Decimal(1))
    assert refusal(lambda: mapper.to_canonical({"id": "7"})) == (
        "shop_to_canonical: no valid ShopOrder: amount: Field required"
    )
    assert (mapper >> AddTax(Decimal(0))).name == "shop_to_canonical >> AddTax"


def test_a_mapper_made_of_one_function_maps_one_way() -> None:
    mapper = Mapper.of(shop_to_canonical)
    with pytest.raises(PermanentError, match="shop_to_canonical maps one way only"):
        mapper.from_canonical({"order_id": "7", "total": 1})


def unreadable(source: Nowhere) -> CanonicalOrder:  # type: ignore[name-defined] # noqa: F821 - what is tested
    return CanonicalOrder(order_id=source.id, total=Decimal(0))


class Opaque:
    pass


def opaque(source: Opaque) -> CanonicalOrder:
    return CanonicalOrder(order_id=str(source), total=Decimal(0))


@pytest.mark.parametrize(
    ("to", "back", "told"),
    [
        (lambda source: source, None, "<lambda>: annotate its one parameter and its result"),
        (len, None, "len: "),
        (unreadable, None, "unreadable: its annotations cannot be read: name 'Nowhere' is not defined"),
        (opaque, None, "pydantic cannot validate Opaque; use a pydantic model"),
        (
            shop_to_canonical,
            shop_to_canonical,
            "it must take CanonicalOrder and give ShopOrder",
        ),
    ],
)
def test_functions_that_do_not_say_what_they_map_are_refused(to: Any, back: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Mapper.of(to, back)
    assert told in str(caught.value)


def test_a_mapper_that_does_not_say_what_it_maps_cannot_be_defined() -> None:
    with pytest.raises(DeclarationError, match="Silent does not say what it maps; name two types"):

        class Silent(Mapper):  # type: ignore[type-arg]  # what mypy refuses too
            pass

    open_type = TypeVar("open_type")
    with pytest.raises(DeclarationError, match="Open does not say what it maps"):

        class Open(Mapper[open_type, CanonicalOrder], Generic[open_type]):
            pass

    with pytest.raises(DeclarationError, match="pydantic cannot validate Opaque"):

        class OpaqueMapper(Mapper[Opaque, CanonicalOrder]):
            pass


def test_a_mapper_derived_from_another_maps_what_that_one_does() -> None:
    class Rounded(ShopMapper):
        @override
        def map(self, source: ShopOrder) -> CanonicalOrder:
            return CanonicalOrder(order_id=source.id, total=round(source.amount))

    assert Rounded().source_type is ShopOrder
    assert Rounded().to_canonical({"id": "7", "amount": "1.4"}).total == 1
