"""Canonical JSON: RFC 8785 (JCS), the one sequence of bytes for each JSON value, whoever writes it.

One deviation. JCS knows numbers only as IEEE 754 doubles, so it has no form for an integer beyond 2^53; here
such an integer keeps all its digits, since rounding it would give different contents the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from json.encoder import encode_basestring

from api_exchange_core.domain.json_value import JsonValue, json_value

# json's own, in C: it escapes only what JSON demands, in the short form if there is one, else as lower-case
# \u00xx. That is RFC 8785, 3.2.2.2.
_quoted = encode_basestring


def canonical_bytes(value: object) -> bytes:
    """The canonical JSON of *value*, UTF-8, for anything that `json_value` takes.

    Raises:
        UnrepresentableError: as `json_value`.
    """
    return _written(json_value(value)).encode()


def _written(value: JsonValue) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quoted(name)}:{_written(value[name])}" for name in _in_order(value)]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_written(item) for item in value]) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _number(value)


def _in_order(names: Iterable[str]) -> list[str]:
    """Sort by UTF-16 code units (RFC 8785, 3.2.3); within ASCII that is how Python compares texts."""
    if "".join(names).isascii():
        return sorted(names)
    return sorted(names, key=lambda name: name.encode("utf-16-be"))


def _number(value: float) -> str:
    """Write a float as ECMAScript's Number::toString does (RFC 8785, 3.2.2.3).

    Python finds the same digits, the fewest that read back as the same double, but lays them out differently:
    it turns to exponents below 1e-4 and from 1e16, ECMAScript below 1e-6 and from 1e21.
    """
    if not value:
        return "0"
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        return digits.removesuffix(".0")
    if -7 < int(exponent) < 21:
        return format(Decimal(repr(value)), "f")
    return f"{digits}e{int(exponent):+d}"
