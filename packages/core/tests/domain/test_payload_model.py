from __future__ import annotations

import sys
import typing
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api_exchange_core.domain.errors import DeclarationError, InvalidPayloadError
from api_exchange_core.domain.payload_model import MAX_FIELD, MAX_REASONS, check_model, validated


class Card(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["card"]
    digits: Annotated[str, Field(pattern="^[0-9]{4}$")]


class Cash(BaseModel):
    kind: Literal["cash"]


class Receipt(BaseModel):
    number: int
    payments: list[Annotated[Card | Cash, Field(discriminator="kind")]]


def refusal(payload: object) -> str:
    with pytest.raises(InvalidPayloadError) as caught:
        validated(Receipt, payload, where="payload of message 'm-1'")
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_a_payload_that_fits_becomes_the_model() -> None:
    receipt = validated(Receipt, {"number": "7", "payments": [{"kind": "cash"}]}, where="here")
    assert receipt == Receipt(number=7, payments=[Cash(kind="cash")])


def test_types_other_than_models_can_be_declared() -> None:
    assert validated(dict[str, int], {"a": "1"}, where="here") == {"a": 1}
    with pytest.raises(InvalidPayloadError, match=r"here: no valid dict\[str, int\]: a: Input should be"):
        validated(dict[str, int], {"a": "x"}, where="here")


def test_a_refusal_names_where_and_every_field_with_its_reason() -> None:
    told = refusal({"payments": [{"kind": "cash"}, {"kind": "card", "digits": "12", "holder": "Ada"}]})
    assert told == (
        "payload of message 'm-1': no valid Receipt: number: Field required; "
        "payments.1.card.digits: String should match pattern '^[0-9]{4}$'; "
        "payments.1.card.holder: Extra inputs are not permitted"
    )


@pytest.mark.parametrize("payload", [None, [], "text", 5])
def test_a_payload_that_is_no_object_is_refused_as_a_whole(payload: JsonValue) -> None:
    assert refusal(payload) == (
        "payload of message 'm-1': no valid Receipt: "
        "the payload: Input should be a valid dictionary or instance of Receipt"
    )


@given(st.sampled_from(["number", "digits", "kind"]))
def test_a_refusal_holds_no_value_of_the_payload(field: str) -> None:
    payment = {"kind": "card", "digits": "1234"}
    payload = {"number": 1, "payments": [payment]}
    (payment if field in payment else payload)[field] = "hush hush"
    assert "hush" not in refusal(payload)


def test_an_unknown_tag_is_refused_with_the_tags_that_there_are() -> None:
    assert refusal({"number": 1, "payments": [{"kind": "hush"}]}).endswith(
        "payments.0: the tag is none of 'card', 'cash'"
    )


def test_a_refusal_stays_short_however_much_is_wrong() -> None:
    told = refusal({"number": 1, "payments": [5] * 1_000})
    assert told.count(";") == MAX_REASONS
    assert told.endswith("; and 990 more")
    told = refusal({"number": 1, "payments": [{"kind": "card", "digits": "1234", "x" * 10_000: 1}]})
    assert len(told) < 2 * MAX_FIELD


def test_a_type_that_pydantic_cannot_validate_is_refused_at_declaration() -> None:
    class Opaque:
        pass

    with pytest.raises(DeclarationError, match="pydantic cannot validate Opaque"):
        check_model(Opaque)
    check_model(Receipt)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic reads typing.TypedDict from Python 3.12 on")
def test_a_type_that_pydantic_cannot_read_on_this_python_is_refused_at_declaration() -> None:
    class Row(typing.TypedDict):
        id: int

    with pytest.raises(DeclarationError, match="Row"):
        check_model(Row)
