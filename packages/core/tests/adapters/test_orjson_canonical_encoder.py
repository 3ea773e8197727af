from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core.adapters.json.canonical_encoder import (
    _PATTERNS_FIT,
    OrjsonCanonicalEncoder,
    _is_clear,
    _whole_floats,
)
from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.errors import UnrepresentableError
from api_exchange_core.domain.json_value import MAX_DEPTH
from api_exchange_core.ports.canonical_encoder import CanonicalEncoder

encode: CanonicalEncoder = OrjsonCanonicalEncoder()

NAIVE = datetime(2025, 3, 1)  # noqa: DTZ001 - what is to be refused


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Members(Enum):
    TEXT = "a:1.0,"
    NAN = float("nan")
    WHOLE = 3.0
    TINY = 1e-7
    NONE = None
    LIST = (1.0, None, "x")
    HUGE = 2**70
    SET = frozenset({1})
    TIME = datetime(2025, 3, 1, tzinfo=UTC)


class Status(StrEnum):
    PAID = "paid"


class Grade(IntEnum):
    B = 2


class Renamed(dict[str, object]):
    """A dict that shows other items than it holds."""

    @override
    def items(self) -> Any:  # any: the view's class cannot be named as dict wants it
        return {f"new_{name}": item for name, item in super().items()}.items()


class Member(BaseModel):
    id: UUID
    at: datetime


@dataclass
class Line:
    sku: object
    price: object


# Texts that look like what the scan of the bytes is after, in and out of quotes.
LOOKALIKES = [
    "a:1.0,",
    ":1.0,",
    ",2.0]",
    '":3.0}',
    '\\":4.0,',
    "1.0",
    "v1.0,",
    "null",
    ":null,",
    "1e-5,",
    "3e+21]",
]
LOOKALIKES += ["\\", '"', '\\"', "{[{[", "+49 30", "x-1e-7}", "nan"]
SORTED_TWO_WAYS = ["\ue000", "\uffff", "\ufb33", "😀", "\U0010ffff", "\ud7ff", "é", "", "a", "❤️"]
NUMBERS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    100.0,
    0.5,
    19.99,
    1e-4,
    9.9e-5,
    1e-5,
    1e-6,
    1e-7,
    5e-324,
    1e15,
    1e16,
    -1e16,
    1e17,
]
NUMBERS += [2.0**53, 2.0**53 + 2, 2.0**60, 1e20, 1e21, 1e22, 1.5e300, 999999999999999.0, 123456789012345.6]
INTEGERS = [
    2**53 - 1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**53),
    -(2**63),
    -(2**63) - 1,
    10**30,
]

texts = st.sampled_from(LOOKALIKES + SORTED_TWO_WAYS) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
plain_scalars = (
    st.none()
    | st.booleans()
    | texts
    | st.sampled_from(NUMBERS)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-1000, 1000, places=2).map(float)
    | st.integers(-1000, 1000).map(float)
    | st.sampled_from(INTEGERS)
    | st.integers()
)
odd_scalars = st.one_of(
    st.sampled_from([float("nan"), float("inf"), float("-inf"), Real("nan"), Real(2.0), Real(2.5)]),
    st.sampled_from(
        [Text("a"), Text("1.0,"), Text("é\ud800"), Whole(3), Whole(2**70), "\ud800", "a\udfff😀"]
    ),
    st.sampled_from([*Members, Status.PAID, Grade.B]),
    st.sampled_from([{1}, frozenset(), b"x", bytearray(b"x"), 1j, object, NAIVE, timedelta(1)]),
    st.decimals(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.dates(),
    st.uuids(),
)
odd_keys: st.SearchStrategy[object] = st.sampled_from(
    [Text("a"), Text("😀"), "\ud800", Status.PAID, 1, None, 2.0, ("a",)]
)


def nests(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5)


def odd_nests(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    objects = st.dictionaries(texts | odd_keys, inner, max_size=4)
    return st.one_of(
        nests(inner),
        st.tuples(inner, inner),
        objects,
        objects.map(OrderedDict),
        objects.map(MappingProxyType),
        st.builds(Line, inner, inner),
    )


def outcome(encoder: Callable[[object], bytes], value: object) -> bytes | str:
    try:
        return encoder(value)
    except UnrepresentableError as refusal:
        return str(refusal)


def same(value: object) -> bool:
    return outcome(encode, value) == outcome(canonical_bytes, value)


@settings(max_examples=300)
@given(st.recursive(plain_scalars, nests, max_leaves=25))
@example({"a": 1.0, "b": ":1.0,"})
@example({"a": -0.0, "b": None})
@example({"😀": 1, "\ufb33": 2})
@example([1e16])
@example([1e-5])
@example("1.0")
@example(1.0)
@example(None)
def test_any_json_document_gets_the_bytes_of_the_pure_function(document: object) -> None:
    assert same(document)


@settings(max_examples=300)
@given(st.recursive(plain_scalars | odd_scalars, odd_nests, max_leaves=15))
@example([datetime(2025, 3, 1, 9, 15, tzinfo=UTC), date(2025, 3, 1)])
@example([Renamed(a=1)])
@example([Member(id=UUID(int=7), at=datetime(2025, 3, 1, tzinfo=UTC))])
@example(Members.NAN)
@example([Members.LIST, None])
@example({"a": Real(2.0), "b": 1.0})
@example(OrderedDict(a=1.0, b=None))
@example({"t": datetime(2025, 1, 1, tzinfo=UTC), "d": date(2025, 1, 1), "n": None})
@example({"id": UUID(int=0), "price": Decimal("1.10"), "whole": 2.0})
def test_any_value_gets_the_bytes_or_the_refusal_of_the_pure_function(value: object) -> None:
    assert same(value)


@settings(max_examples=200)
@given(
    st.lists(
        st.floats()
        | st.integers(-9, 9).flatmap(lambda e: st.floats(0, 10).map(lambda f: f * 10.0 ** (e * 3)))
    )
)
def test_floats_of_every_size_get_the_bytes_of_the_pure_function(numbers: list[float]) -> None:
    for number in numbers:
        assert same(number)
        assert same({"n": number})
    assert same(numbers)


@given(
    st.dictionaries(
        st.sampled_from(SORTED_TWO_WAYS) | st.text("a\ue000\uffff😀\U0010ffff", max_size=3), st.none()
    )
)
def test_keys_are_sorted_by_utf_16(document: dict[str, None]) -> None:
    assert same(document)


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 200, 254, 255, 100_000])
@pytest.mark.parametrize("innermost", [1, 1.0, None, "null", [], {}, float("nan")])
@pytest.mark.parametrize("key", [None, "a"])
def test_depth_is_judged_as_the_pure_function_judges_it(
    depth: int, innermost: object, key: str | None
) -> None:
    value = innermost
    for _ in range(depth):
        value = [value] if key is None else {key: value}
    assert same(value)


def test_what_contains_itself_is_refused() -> None:
    cycle: list[object] = []
    cycle.append({"again": cycle})
    with pytest.raises(UnrepresentableError, match="does not contain itself"):
        encode(cycle)


def test_a_refusal_names_the_place_from_the_root() -> None:
    with pytest.raises(UnrepresentableError, match="at '/lines/1/price'"):
        encode({"lines": [{"price": None}, {"price": float("nan")}]})


ORDER = {
    "id": "3f2a1e-4b7c-11e-5",
    "phone": "+49 30 1234",
    "lines": [
        {"sku": f"A-{n}", "price": 12.35 + n, "qty": n, "gift": n == 2, "name": "Tasse, groß"}
        for n in range(9)
    ],
}


def test_an_ordinary_document_is_cleared_by_the_look_at_its_bytes() -> None:
    assert _PATTERNS_FIT
    assert _is_clear(orjson.dumps(ORDER))


def test_nulls_whole_floats_and_many_lines_are_settled_by_the_walk() -> None:
    document = {"orders": [ORDER] * 40, "state": None, "net": 20.0, "tax": (0.0, -3.0), "app": "v1.0"}
    assert not _is_clear(orjson.dumps(document))
    assert _whole_floats(document) == 3
    assert encode(document) == canonical_bytes(document)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0, 1e-5, 1e15, 1e300])
def test_the_walk_leaves_doubtful_floats_to_the_pure_function(number: float) -> None:
    assert _whole_floats([number]) is None


def test_the_walk_knows_an_orjson_fragment_for_what_it_is() -> None:
    assert _whole_floats([orjson.Fragment(b"{ }")]) is None


def test_a_hasher_that_encodes_with_orjson_makes_the_same_hashes() -> None:
    quick = ContentHasher(encode=encode, volatile={"order": ["/lines/0/qty"]})
    pure = ContentHasher(volatile={"order": ["/lines/0/qty"]})
    assert quick.hash(ORDER, canonical_type="order") == pure.hash(ORDER, canonical_type="order")
    assert quick.field_hashes(ORDER, canonical_type="order") == pure.field_hashes(
        ORDER, canonical_type="order"
    )
