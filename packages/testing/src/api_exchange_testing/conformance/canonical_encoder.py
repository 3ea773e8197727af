"""What every `CanonicalEncoder` does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.errors import UnrepresentableError
from api_exchange_core.domain.json_value import MAX_DEPTH
from api_exchange_core.ports.canonical_encoder import CanonicalEncoder
from api_exchange_testing.conformance._samples import EVERY_SCRIPT
from api_exchange_testing.conformance.suite import Suite


@dataclass(frozen=True)
class _Line:
    amount: Decimal
    placed: datetime


class _Kind(Enum):
    EXPRESS = "express"


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


_REPRESENTABLE = [
    None,
    True,
    {"b": [1, 2.0, -0.0, 1e21, 1e-7, 5e-324, 1.7976931348623157e308], "a": {"": None}},
    [2**53 - 1, 2**53, 2**53 + 1, -(2**63), 2**64, 10**400],
    {"\ue000": 1, "\U0001f680": 2, "é": 3, "e\u0301": 4, "z": 5},
    EVERY_SCRIPT,
    '\x00\x1f\x7f\x80\u2028\ufeff\uffff"\\/<&',
    {
        "amount": Decimal("1.10"),
        "placed": datetime(2026, 3, 1, 9, 15, 27, 5, tzinfo=UTC),
        "day": date(2026, 3, 1),
    },
    [
        UUID("3F1F6F0E-5B0A-5C3C-9D0E-0D5A4A9F6B01"),
        _Kind.EXPRESS,
        (1, 2),
        _Line(Decimal(2), datetime(1, 1, 1, tzinfo=UTC)),
    ],
    _nested(MAX_DEPTH),
]
_UNREPRESENTABLE = [
    float("nan"),
    {"a": [float("inf")]},
    {1: "number as name"},
    {"a", "b"},
    b"bytes",
    datetime(2026, 3, 1),  # noqa: DTZ001 - no offset is the point
    "\ud800",
    {"\udfff": 1},
    object(),
    Decimal("NaN"),
    _nested(MAX_DEPTH + 1),
]

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.uuids(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


class CanonicalEncoderSuite(Suite):
    """Needs a fixture `encode` that returns the `CanonicalEncoder`."""

    @pytest.mark.parametrize("value", _REPRESENTABLE)
    def test_what_has_a_json_form_is_encoded_as_the_domain_does(
        self, encode: CanonicalEncoder, value: object
    ) -> None:
        assert encode(value) == canonical_bytes(value)

    @pytest.mark.parametrize("value", _UNREPRESENTABLE)
    def test_what_has_none_is_refused_with_the_domains_words(
        self, encode: CanonicalEncoder, value: object
    ) -> None:
        assert _answer(encode, value) == _answer(canonical_bytes, value)

    @given(value=_JSON)
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
    def test_any_value_is_encoded_or_refused_as_the_domain_does(
        self, encode: CanonicalEncoder, value: object
    ) -> None:
        assert _answer(encode, value) == _answer(canonical_bytes, value)


def _answer(encode: CanonicalEncoder, value: object) -> bytes | str:
    try:
        return encode(value)
    except UnrepresentableError as error:
        return str(error)
