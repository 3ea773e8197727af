from __future__ import annotations

import json
import random
import struct
from decimal import Decimal

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.canonical_json import canonical_bytes
from api_exchange_core.domain.errors import UnrepresentableError
from api_exchange_core.domain.json_value import MAX_DEPTH, MAX_DIGITS, json_value

# RFC 8785, appendix B, "Number Serialization Samples": the bits of a double, and its text.
APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
# The oracle refuses integers that a double cannot hold; ours keeps them, which a test below holds on to.
doubles = st.floats(allow_nan=False, allow_infinity=False)
safe_integers = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)


def documents(numbers: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(
        st.none() | st.booleans() | texts | numbers,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
        max_leaves=20,
    )


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_a_number_of_appendix_b_is_written_as_printed_there(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_bytes(number) == text.encode()


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000"])
def test_a_number_that_appendix_b_calls_an_error_is_refused(bits: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    with pytest.raises(UnrepresentableError):
        canonical_bytes(number)


def test_the_sample_of_section_3_2_2_gives_the_bytes_of_section_3_2_4() -> None:
    source = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    expected = bytes.fromhex(
        "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b"
        "3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c"
        "22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d"
    )
    assert canonical_bytes(json.loads(source)) == expected


def test_the_sample_of_section_3_2_3_is_sorted_as_printed_there() -> None:
    source = r"""{
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }"""
    written = json.loads(canonical_bytes(json.loads(source)))
    assert list(written.values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


@given(documents(doubles | safe_integers))
def test_any_document_is_written_as_another_implementation_writes_it(document: object) -> None:
    assert canonical_bytes(document) == rfc8785.dumps(document)  # type: ignore[arg-type]  # its type is recursive


@given(st.integers())
def test_an_integer_keeps_all_its_digits(number: int) -> None:
    assert canonical_bytes(number) == str(number).encode()


def test_neighbouring_integers_beyond_2_to_the_53_differ() -> None:
    assert canonical_bytes(2**53) == b"9007199254740992"
    assert canonical_bytes(2**53 + 1) == b"9007199254740993"
    assert canonical_bytes(10**MAX_DIGITS - 1) == b"9" * MAX_DIGITS


@given(doubles)
def test_a_float_reads_back_as_itself(number: float) -> None:
    assert float(canonical_bytes(number)) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e21, "1e+21"),
        (1e20, "1" + "0" * 20),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.0, "1"),
        (-0.0, "0"),
        (4.5, "4.5"),
    ],
)
def test_floats_are_laid_out_as_ecmascript_does(number: float, text: str) -> None:
    assert canonical_bytes(number) == text.encode()


@given(documents(safe_integers))
def test_different_contents_have_different_bytes_for_each_reads_back_as_itself(document: object) -> None:
    assert json.loads(canonical_bytes(document)) == document


def shuffled(value: object, order: random.Random) -> object:
    if isinstance(value, dict):
        items = [(key, shuffled(item, order)) for key, item in value.items()]
        order.shuffle(items)
        return dict(items)
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(documents(doubles | safe_integers), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(document: object, order: random.Random) -> None:
    assert canonical_bytes(shuffled(document, order)) == canonical_bytes(document)


def test_the_order_of_items_matters() -> None:
    assert canonical_bytes([1, 2]) != canonical_bytes([2, 1])


@given(documents(doubles | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)))
def test_bytes_are_the_same_after_a_trip_through_json(document: object) -> None:
    by_json = json.dumps(json_value(document))
    assert canonical_bytes(json.loads(by_json)) == canonical_bytes(document)
    assert canonical_bytes(json.loads(canonical_bytes(document))) == canonical_bytes(document)


def test_control_characters_are_escaped_as_json_demands_and_nothing_else_is() -> None:
    assert canonical_bytes('\b\t\n\f\r\x00\x1f\x7f"\\/é€😀\u2028') == (
        b'"\\b\\t\\n\\f\\r\\u0000\\u001f' + '\x7f\\"\\\\/é€😀\u2028"'.encode()
    )


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(UnrepresentableError, match="at '/totals/tax'"):
        canonical_bytes({"totals": {"tax": float("nan"), "net": Decimal("1.0")}})


def test_the_deepest_nesting_allowed_is_written() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert canonical_bytes(value) == b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH
