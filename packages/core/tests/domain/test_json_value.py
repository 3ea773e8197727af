from __future__ import annotations

import json
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, model_serializer
from typing_extensions import override

from api_exchange_core.domain.errors import UnrepresentableError
from api_exchange_core.domain.json_value import MAX_DEPTH, MAX_DIGITS, json_value


class Text(str):
    __slots__ = ()

    @override
    def __str__(self) -> str:
        return "not my content"


class Stubborn(str):
    """A text that is no other's equal, so that a dict keeps it beside the plain one."""

    __slots__ = ()
    __hash__ = str.__hash__

    @override
    def __eq__(self, other: object) -> bool:
        return self is other


class Whole(int):
    @override
    def __str__(self) -> str:
        return "seven"


class Real(float):
    pass


class Colour(Enum):
    RED = ("r", 1)


class Status(StrEnum):
    PAID = "paid"


class Grade(IntEnum):
    B = 2


class Mixed(str, Enum):  # noqa: UP042 - the form that StrEnum replaced: its str() is not its value
    A = "a"


Point = namedtuple("Point", ["x", "y"])  # noqa: PYI024 - the untyped form is what libraries hand out


@dataclass
class Line:
    sku: str
    price: Decimal


class Order(BaseModel):
    id: UUID
    lines: list[Line]
    status: Status = Status.PAID


class Tags(RootModel[list[str]]):
    pass


class Unmarried(BaseModel):
    @model_serializer
    def refuse(self) -> dict[str, object]:
        raise ValueError("serializer broke on 4929-1234")


AN_ID = UUID("12345678-90AB-CDEF-1234-567890ABCDEF")
A_TIME = datetime(2025, 3, 1, 10, 15, 27, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1.10"), "1.1"),
        (Decimal("100.0"), "100"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("-0.00"), "0"),
        (Decimal("0E+999999"), "0"),
        (A_TIME, "2025-03-01T09:15:27Z"),
        (A_TIME.replace(microsecond=1500), "2025-03-01T09:15:27.001500Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (date(2025, 3, 1), "2025-03-01"),
        (AN_ID, "12345678-90ab-cdef-1234-567890abcdef"),
        (Colour.RED, ["r", 1]),
        (Status.PAID, "paid"),
        (Mixed.A, "a"),
        (Grade.B, 2),
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (Line("A", Decimal("2.50")), {"sku": "A", "price": "2.5"}),
        (Tags(["a"]), ["a"]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderedDict(b=1, a=(2,)), {"b": 1, "a": [2]}),
        (UserDict({"a": Status.PAID}), {"a": "paid"}),
        ({Mixed.A: 1, Text("t"): 2}, {"a": 1, "t": 2}),
    ],
)
def test_each_documented_type_has_one_form(value: object, expected: object) -> None:
    assert json_value(value) == expected


def test_a_pydantic_model_becomes_its_dumped_fields() -> None:
    order = Order(id=AN_ID, lines=[Line("A", Decimal("2.50"))])
    assert json_value({"order": order}) == {
        "order": {"id": str(AN_ID), "lines": [{"sku": "A", "price": "2.5"}], "status": "paid"}
    }


@pytest.mark.parametrize(
    ("value", "kind", "plain"),
    [
        (Text("a"), str, "a"),
        (Text("é"), str, "é"),
        (Whole(7), int, 7),
        (Real(1.5), float, 1.5),
        (True, bool, True),
        (Grade.B, int, 2),
    ],
)
def test_a_subclass_becomes_the_plain_type(value: object, kind: type, plain: object) -> None:
    result = json_value([value])
    assert isinstance(result, list)
    assert type(result[0]) is kind
    assert result[0] == plain


def test_a_key_of_a_subclass_becomes_a_plain_text() -> None:
    result = json_value({Text("a"): 1})
    assert isinstance(result, dict)
    assert [type(key) for key in result] == [str]


def test_minus_zero_is_kept() -> None:
    assert str(json_value(-0.0)) == "-0.0"


def test_the_result_shares_no_container_with_what_was_given() -> None:
    given_lines = [{"sku": "A"}]
    data = {"lines": given_lines}
    result = json_value(data)
    given_lines[0]["sku"] = "B"
    given_lines.append({})
    assert result == {"lines": [{"sku": "A"}]}


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(min_value=1, max_value=5))
def test_a_decimal_keeps_its_exact_value_whatever_the_decimal_context(value: Decimal, precision: int) -> None:
    with localcontext() as context:
        context.prec = precision
        text = json_value(value)
    assert isinstance(text, str)
    assert Decimal(text) == value
    assert "E" not in text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.integers(min_value=0, max_value=9))
def test_equal_decimals_have_equal_forms(value: Decimal, zeros: int) -> None:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    assert json_value(Decimal((sign, digits + (0,) * zeros, exponent - zeros))) == json_value(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "NaN or an infinity"),
        (float("-inf"), "NaN or an infinity"),
        (Real("nan"), "NaN or an infinity"),
        (Decimal("NaN"), "a Decimal that is NaN or an infinity"),
        (Decimal("sNaN"), "a Decimal that is NaN or an infinity"),
        (Decimal("Infinity"), "a Decimal that is NaN or an infinity"),
        (Decimal("1E+999999"), "a Decimal of more than 4300 digits"),
        (Decimal("1E-999999"), "a Decimal of more than 4300 digits"),
        pytest.param(10**MAX_DIGITS, "an integer of more than 4300 digits", id="huge"),
        pytest.param(-(10**MAX_DIGITS), "an integer of more than 4300 digits", id="hugely negative"),
        (datetime(2025, 3, 1), "a datetime without an offset"),  # noqa: DTZ001 - what is to be refused
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "a datetime beyond the years 1 to 9999"),
        ({3, 1}, "a value of type set"),
        (frozenset({3}), "a value of type frozenset"),
        (b"\x00", "a value of type bytes"),
        (bytearray(1), "a value of type bytearray"),
        (time(9, 15), "a value of type time"),
        (timedelta(1), "a value of type timedelta"),
        (1j, "a value of type complex"),
        (Line, "a value of type type"),
        (iter([1]), "a value of type list_iterator"),
        ("\ud800", "a lone surrogate"),
        (Text("a\udfff"), "a lone surrogate"),
        ({1: "a"}, "a key of type int"),
        ({None: "a"}, "a key of type NoneType"),
        ({"\ud800": 1}, "a lone surrogate"),
        ({"a": 1, Stubborn("a"): 2}, "two keys with the same text"),
        (Unmarried(), "a Unmarried that model_dump() cannot dump"),
    ],
)
def test_what_has_no_form_is_refused_and_the_place_is_named(value: object, reason: str) -> None:
    with pytest.raises(UnrepresentableError) as caught:
        json_value({"lines": ["fine", {"a/b~c": value}]})
    message = str(caught.value)
    assert message.startswith(f"no JSON form for {reason}")
    assert "at '/lines/1/a~1b~0c': " in message


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ({3, 1}, "pass a sorted list"),
        (b"\x00", "pass base64 text"),
        pytest.param(10**MAX_DIGITS, "pass it as text", id="huge"),
        (datetime(2025, 3, 1), "give it its tzinfo"),  # noqa: DTZ001 - what is to be refused
        (float("nan"), "pass None or a text"),
        (object(), "pass a text, number, list or dict"),
        ({1: 2}, "pass keys of type str"),
    ],
)
def test_a_refusal_at_the_root_says_so_and_how_to_mend_it(value: object, advice: str) -> None:
    with pytest.raises(UnrepresentableError, match=f"at the root: {advice}"):
        json_value(value)


@pytest.mark.parametrize(
    "value",
    [{"pin": {4711}}, {"pin": b"4711"}, {"pin": "4711\ud800"}, {"pin": Unmarried()}, {"pin": {4711: 0}}],
)
def test_a_refusal_does_not_show_the_value(value: object) -> None:
    with pytest.raises(UnrepresentableError) as caught:
        json_value(value)
    assert "4711" not in str(caught.value)
    assert "4929" not in str(caught.value)


def test_a_refusal_beneath_a_key_with_a_surrogate_can_be_printed() -> None:
    with pytest.raises(UnrepresentableError) as caught:
        json_value([{"ok": 1, "a\ud800": 1}])
    assert str(caught.value).encode()


def test_the_longest_integers_and_decimals_are_kept_exactly() -> None:
    longest = 10**MAX_DIGITS - 1
    assert json_value(longest) == longest
    assert json_value(-longest) == -longest
    assert json_value(Decimal(longest)) == str(longest)


def nested(depth: int, wrap: Callable[[object], object]) -> object:
    value: object = "innermost"
    for _ in range(depth):
        value = wrap(value)
    return value


WRAPPINGS: list[Callable[[object], object]] = [
    lambda value: [value],
    lambda value: (value,),
    lambda value: {"a": value},
    lambda value: MappingProxyType({"a": value}),
    lambda value: Line("A", value),  # type: ignore[arg-type]  # a dataclass does not check what it holds
]


@pytest.mark.parametrize("wrap", WRAPPINGS)
def test_the_deepest_nesting_allowed_is_allowed(wrap: Callable[[object], object]) -> None:
    assert "innermost" in json.dumps(json_value(nested(MAX_DEPTH, wrap)))


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200, 100_000])
@pytest.mark.parametrize("wrap", WRAPPINGS)
def test_deeper_nesting_is_refused_whatever_the_depth(wrap: Callable[[object], object], depth: int) -> None:
    with pytest.raises(UnrepresentableError, match="nesting deeper than 100 levels"):
        json_value(nested(depth, wrap))


def test_an_empty_list_one_level_too_deep_is_refused_too() -> None:
    json_value(nested(MAX_DEPTH - 1, lambda value: [] if value == "innermost" else [value]))
    with pytest.raises(UnrepresentableError, match="nesting deeper"):
        json_value(nested(MAX_DEPTH + 1, lambda value: [] if value == "innermost" else [value]))


class Node(BaseModel):
    next: Node | None = None


def test_what_contains_itself_is_refused() -> None:
    a_list: list[object] = []
    a_list.append(a_list)
    a_dict: dict[str, object] = {}
    a_dict["me"] = a_dict
    a_model = Node()
    a_model.next = a_model
    for value in (a_list, a_dict, a_model):
        with pytest.raises(UnrepresentableError, match="does not contain itself"):
            json_value(value)


def test_a_value_shared_by_two_places_is_not_mistaken_for_a_cycle() -> None:
    shared = {"a": [1]}
    assert json_value([shared, shared]) == [{"a": [1]}, {"a": [1]}]


class Upper(Mapping[str, int]):
    """A mapping whose items are not those of any dict underneath."""

    @override
    def __getitem__(self, key: str) -> int:
        return {"A": 1}[key]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(["A"])

    @override
    def __len__(self) -> int:
        return 1


def test_a_mapping_is_read_through_its_own_items() -> None:
    assert json_value(Upper()) == {"A": 1}
