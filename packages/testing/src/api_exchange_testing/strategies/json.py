"""JSON payloads with the cases that break readers, and values that have no JSON form."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from api_exchange_core.domain.json_value import MAX_DEPTH, JsonValue
from api_exchange_testing.strategies.names import characters

_INTEGERS: Final = [0, 1, -1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**64, 10**40]
_FLOATS: Final = [0.0, -0.0, 1.0, 0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 9007199254740993.0]
_TEXTS: Final = [
    "",
    " ",
    "\x00",
    "\u2028",
    "\u00e9",  # composed
    "e\u0301",  # the same for people, decomposed
    "\ufb33\U0001f600",  # before and after each other, by code points or by UTF-16 units
    "\U0001f600",
    "</script>",
    '"\\/',
    "2026-01-01T00:00:00Z",
    "1.10",
    "null",
]
_KEYS: Final = [
    "",
    "id",
    "ID",
    "Id",
    "\u0130d",
    "i\u0307d",
    "a/b",
    "a~b",
    "a.b",
    "\uff41",
    "a",
    "__proto__",
    "10",
    "9",
]
"""Names that some reader takes for one another, or for a path."""


def payloads(*, max_leaves: int = 20) -> SearchStrategy[JsonValue]:
    """JSON values as they travel: every kind, deep ones, and near-equal keys and numbers.

    Args:
        max_leaves: about how many values a payload has.
    """
    return _shallow(max_leaves) | _deep() | _lookalikes()


def objects(*, max_leaves: int = 20) -> SearchStrategy[dict[str, JsonValue]]:
    """JSON objects, of the same kinds."""
    return st.dictionaries(_keys(), _shallow(max_leaves), max_size=6)


def refused_payloads() -> SearchStrategy[object]:
    """Values that have no JSON form that every reader agrees on, at the top or within: `UnrepresentableError`."""
    refused: SearchStrategy[object] = st.sampled_from(
        [
            math.nan,
            math.inf,
            -math.inf,
            "\ud800",
            {"\udfff": 1},
            {1: "a number for a key"},
            b"bytes",
            {1, 2},
            frozenset({"a"}),
            datetime(2026, 1, 1),  # noqa: DTZ001 - the point of it
            Decimal("NaN"),
            object(),
        ]
    )
    return refused | refused.map(lambda value: [value]) | refused.map(lambda value: {"field": [0, value]})


def _shallow(max_leaves: int) -> SearchStrategy[JsonValue]:
    return st.recursive(
        _leaves(),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_keys(), inner, max_size=6),
        max_leaves=max_leaves,
    )


def _leaves() -> SearchStrategy[JsonValue]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(_INTEGERS) | st.integers(),
        st.sampled_from(_FLOATS) | st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(_TEXTS) | _texts(),
    )


def _deep() -> SearchStrategy[JsonValue]:
    """Chains of objects and arrays, up to the deepest that may be sent."""
    levels = st.integers(min_value=10, max_value=MAX_DEPTH - 5)
    return st.builds(_nested, _leaves(), levels, st.booleans())


def _lookalikes() -> SearchStrategy[JsonValue]:
    """Objects with two fields that some reader takes for one."""
    pairs = st.sampled_from([(one, other) for one in _KEYS for other in _KEYS if one != other])
    return st.builds(
        lambda names, first, second: {names[0]: first, names[1]: second}, pairs, _leaves(), _leaves()
    )


def _nested(value: JsonValue, levels: int, arrays: bool) -> JsonValue:
    for _ in range(levels):
        value = [value] if arrays else {"in": value}
    return value


def _keys() -> SearchStrategy[str]:
    return st.sampled_from(_KEYS) | _texts()


def _texts() -> SearchStrategy[str]:
    return st.text(characters(), max_size=30)
