"""The comparisons that routing rules are made of: what each accepts at declaration and says of a value.

They know JSON's types and convert nothing: ``"5"`` is not ``5`` and ``true`` is not ``1``, while ``1`` equals
``1.0``. Of a value that is there:

========== ======================== =================================================================
operator   compares with            holds when the value
========== ======================== =================================================================
==         a scalar                 has the same type and is equal
!=         a scalar                 does not: another type counts as different
< <= > >=  a number or a string     has the same type and comes so in order; strings by code point
in         one or more scalars      == one of them
not_in     one or more scalars      == none of them
contains   a scalar                 is an array with an element == it, or a string with it as a part
matches    a regular expression     is a string that the expression describes from its first to its last
                                    character
exists     nothing                  is there, null included
========== ======================== =================================================================

Of a field that is absent every operator is false, ``!=`` and ``not_in`` too: a rule takes only what it can
see. No value makes an operator raise: one of a type that it does not compare makes it false (``!=`` and
``not_in`` true).

Regular expressions are those of Rust's regex crate, which pydantic carries: the usual syntax without
look-around and backreferences. They take time linear in the length of the value, so no payload can stall a
worker, however the pattern is written.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypeGuard, overload

from pydantic_core import SchemaError, SchemaValidator, core_schema

from api_exchange_core.domain.errors import DeclarationError

Scalar = str | int | float | bool | None
Operand = Scalar | tuple[Scalar, ...]
Test = Callable[[object], bool]


class _Order(Protocol):
    @overload
    def __call__(self, left: float, right: float, /) -> bool: ...
    @overload
    def __call__(self, left: str, right: str, /) -> bool: ...


def operand(value: object) -> Operand:
    """Check that *value*, a scalar of JSON or a list of these, can be compared with.

    Raises:
        DeclarationError: it cannot.
    """
    return tuple(_scalar(each) for each in value) if isinstance(value, list | tuple) else _scalar(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(found: object, wanted: Scalar) -> bool:
    # True equals 1 in Python, and nothing else equals across JSON's types
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise DeclarationError(f"cannot compare with {value!r}; use a string, a finite number, a bool or null")


def _one(value: Operand) -> Scalar:
    if isinstance(value, tuple):
        raise DeclarationError(f"compares with one value, not with several: {value!r}")
    return value


def _several(value: Operand) -> tuple[Scalar, ...]:
    if not isinstance(value, tuple) or not value:
        raise DeclarationError(f"chooses from a list of one or more values, not {value!r}")
    return value


def _equal(value: Operand) -> Test:
    wanted = _one(value)
    return lambda found: _same(found, wanted)


def _not_equal(value: Operand) -> Test:
    wanted = _one(value)
    return lambda found: not _same(found, wanted)


def _ordered(compare: _Order) -> Callable[[Operand], Test]:
    def declare(value: Operand) -> Test:
        wanted = _one(value)
        if isinstance(wanted, str):
            return lambda found: isinstance(found, str) and compare(found, wanted)
        if _is_number(wanted):
            return lambda found: _is_number(found) and compare(found, wanted)
        raise DeclarationError(f"only numbers and strings have an order, and {value!r} is neither")

    return declare


def _in(value: Operand) -> Test:
    wanted = _several(value)
    return lambda found: any(_same(found, each) for each in wanted)


def _not_in(value: Operand) -> Test:
    wanted = _several(value)
    return lambda found: not any(_same(found, each) for each in wanted)


def _contains(value: Operand) -> Test:
    wanted = _one(value)

    def holds(found: object) -> bool:
        if isinstance(found, str):
            return isinstance(wanted, str) and wanted in found
        return isinstance(found, list | tuple) and any(_same(each, wanted) for each in found)

    return holds


def _matches(value: Operand) -> Test:
    if not isinstance(value, str):
        raise DeclarationError(f"a regular expression is a string, not {value!r}")
    _compiled(value)  # on its own: "a)(b" would be valid in the group below
    return _compiled(rf"\A(?:{value})\z").isinstance_python


def _compiled(pattern: str) -> SchemaValidator:
    schema = core_schema.str_schema(pattern=pattern, strict=True, regex_engine="rust-regex")
    try:
        return SchemaValidator(schema)
    except SchemaError as error:
        reason = str(error).rsplit("error: ", 1)[-1]
        raise DeclarationError(f"the regular expression {pattern!r} is refused: {reason}") from None


def _exists(value: Operand) -> Test:
    if value is not None:
        raise DeclarationError(
            f"takes no value, not even {value!r}; for an absent field, negate the condition"
        )
    return lambda _found: True


OPERATORS: Final[Mapping[str, Callable[[Operand], Test]]] = MappingProxyType(
    {
        "==": _equal,
        "!=": _not_equal,
        "<": _ordered(operator.lt),
        "<=": _ordered(operator.le),
        ">": _ordered(operator.gt),
        ">=": _ordered(operator.ge),
        "in": _in,
        "not_in": _not_in,
        "contains": _contains,
        "matches": _matches,
        "exists": _exists,
    }
)
"""By its symbol, what turns an operator's operand into a test, or raises DeclarationError."""
