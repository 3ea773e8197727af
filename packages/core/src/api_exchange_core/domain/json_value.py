"""What a processor hands over, as plain JSON: one form for each value, or a refusal that names the place.

=============================== ============================================================================
str, int, float, bool, None     themselves, subclasses as the plain type; integers keep every digit
dict, any Mapping with str keys object
list, tuple                     array
pydantic model                  object: what ``model_dump()`` returns
dataclass instance              object: its fields
Enum member                     its value
Decimal                         text, fixed-point, no trailing zeros: ``Decimal("1.10")`` is ``"1.1"``
datetime with an offset         text, UTC, ISO 8601: ``"2025-03-01T09:15:27Z"``, microseconds unless zero
date                            text, ISO 8601
UUID                            text, lower case
=============================== ============================================================================

Everything else is refused, because it has no form or not the same one everywhere: NaN and the infinities,
sets (their order differs from one process to the next), bytes, datetimes without an offset, lone surrogates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from uuid import UUID

from pydantic import BaseModel, JsonValue

from api_exchange_core.domain.errors import UnrepresentableError
from api_exchange_core.domain.json_pointer import pointer_to

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "JsonValue", "json_value", "member_name", "opened"]

MAX_DEPTH = 100
"""Deepest nesting of objects and arrays. Readers differ in what they bear; every one bears this."""

MAX_DIGITS = 4300
"""Longest integer or Decimal, in digits; the default of ``sys.get_int_max_str_digits``, beyond which Python
neither writes nor reads an integer."""

_INTEGER_LIMIT = 10**MAX_DIGITS

_Path = list[str | int]


def json_value(value: object) -> JsonValue:
    """Turn *value* into plain dicts, lists, texts, numbers, booleans and None; a copy through and through.

    Raises:
        UnrepresentableError: a part of it has no JSON form, or is nested deeper than `MAX_DEPTH`. The message
            names the part by its JSON pointer and says what to pass instead; it never shows the part itself.
    """
    return _plain(value, [])


def opened(value: object, path: Sequence[str | int] = ()) -> object:
    """Open *value* by one level: a new dict or list of its items as they are, or its value if it is a leaf.

    Args:
        value: anything.
        path: where it stands, for the error.

    Raises:
        UnrepresentableError: a pydantic model could not be dumped.
    """
    if type(value) is dict or type(value) is list:
        return value.copy()
    if isinstance(value, Enum):
        return opened(value.value, path)
    if isinstance(value, BaseModel):
        return opened(_dumped(value, path), path)
    if isinstance(value, Mapping):
        return dict(value.items())
    if isinstance(value, (list, tuple)):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value


def member_name(key: object, path: Sequence[str | int] = ()) -> str:
    """*key* as the name of a field of the object that stands at *path*.

    Raises:
        UnrepresentableError: it is no str, or has a lone surrogate.
    """
    if type(key) is str and key.isascii():
        return key
    if not isinstance(key, str):
        raise _refusal(f"a key of type {type(key).__name__} in the object", path, "pass keys of type str")
    return _text(key, path)


def _plain(value: object, path: _Path) -> JsonValue:
    """The JSON form of *value*, which stands at *path*. One frame, or two, for each level of nesting."""
    if type(value) is str and value.isascii():
        return value
    if (leaf := _LEAVES.get(type(value))) is not None:
        return leaf(value, path)
    content = value if type(value) is dict or type(value) is list else opened(value, path)
    if isinstance(content, dict):
        return _object(content, path)
    if isinstance(content, list):
        return _array(content, path)
    return _leaf(content, path)


def _object(value: dict[object, object], path: _Path) -> JsonValue:
    _descend(path)
    result: dict[str, JsonValue] = {}
    for key, item in value.items():
        name = key if type(key) is str and key.isascii() else member_name(key, path[:-1])
        path[-1] = name
        result[name] = _plain(item, path)
    path.pop()
    if len(result) != len(value):
        raise _refusal("two keys with the same text make one field", path, "leave one out")
    return result


def _array(value: list[object], path: _Path) -> JsonValue:
    _descend(path)
    result = []
    for index, item in enumerate(value):
        path[-1] = index
        result.append(_plain(item, path))
    path.pop()
    return result


def _descend(path: _Path) -> None:
    if len(path) >= MAX_DEPTH:
        raise _refusal(
            f"nesting deeper than {MAX_DEPTH} levels",
            path,
            "flatten it, and check that it does not contain itself",
        )
    path.append("")


def _text(value: str, path: Sequence[str | int]) -> str:
    if not value.isascii():
        _refuse_surrogates(value, path)
    return str.__str__(value)


def _refuse_surrogates(text: str, path: Sequence[str | int]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        # Without `from None` the traceback would carry the text.
        advice = "decode the text with its real encoding"
        raise _refusal("a lone surrogate in a text or key", path, advice) from None


def _integer(value: int, path: _Path) -> int:
    if not -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
        raise _refusal(f"an integer of more than {MAX_DIGITS} digits", path, "pass it as text")
    return int.__int__(value)


def _float(value: float, path: _Path) -> float:
    if not isfinite(value):
        raise _refusal("NaN or an infinity", path, "pass None or a text")
    return float.__float__(value)


def _decimal(value: Decimal, path: _Path) -> str:
    if not value.is_finite():
        raise _refusal("a Decimal that is NaN or an infinity", path, "pass None or a text")
    if not value:
        return "0"
    exponent = value.as_tuple().exponent
    if value.adjusted() >= MAX_DIGITS or (isinstance(exponent, int) and exponent < -MAX_DIGITS):
        raise _refusal(f"a Decimal of more than {MAX_DIGITS} digits", path, "round it, or pass it as text")
    # Not normalize(): it would round to the precision of whatever decimal context is current.
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _datetime(value: datetime, path: _Path) -> str:
    if value.utcoffset() is None:
        raise _refusal("a datetime without an offset", path, "give it its tzinfo, such as datetime.UTC")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise _refusal("a datetime beyond the years 1 to 9999 in UTC", path, "pass None or a text") from None
    return utc.replace(tzinfo=None).isoformat() + "Z"


_Leaf = Callable[..., JsonValue]

_LEAVES: Mapping[type, _Leaf] = {
    # bool before int and datetime before date: `_leaf` takes the first class that fits.
    str: _text,
    bool: lambda value, _: value,
    type(None): lambda value, _: value,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    datetime: _datetime,
    date: lambda value, _: value.isoformat(),
    UUID: lambda value, _: str(value),
}

_ADVICE: Mapping[type, str] = {
    set: "pass a sorted list: the order of a set differs from one process to the next",
    frozenset: "pass a sorted list: the order of a set differs from one process to the next",
    bytes: "pass base64 text",
    bytearray: "pass base64 text",
    memoryview: "pass base64 text",
}
_OTHERWISE = "pass a text, number, list or dict"


def _leaf(value: object, path: _Path) -> JsonValue:
    for kind, leaf in _LEAVES.items():
        if isinstance(value, kind):
            return leaf(value, path)
    advice = next((advice for kind, advice in _ADVICE.items() if isinstance(value, kind)), _OTHERWISE)
    raise _refusal(f"a value of type {type(value).__name__}", path, advice)


def _dumped(model: BaseModel, path: Sequence[str | int]) -> object:
    try:
        return model.model_dump()
    except ValueError as error:  # what pydantic raises for a cycle and for a serializer that fails
        what = f"a {type(model).__name__} that model_dump() cannot dump"
        raise _refusal(
            what, path, "mend its serializers, and check that it does not contain itself"
        ) from error


def _refusal(what: str, path: Sequence[str | int], advice: str) -> UnrepresentableError:
    # The pointer is shown by repr: a surrogate in a key must not make the message unprintable.
    where = repr(pointer_to(path)) if path else "the root"
    return UnrepresentableError(f"no JSON form for {what}, at {where}: {advice}")
