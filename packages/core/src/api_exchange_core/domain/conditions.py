"""Conditions on a JSON payload, written in Python or as plain data.

    all_of(field("total") > 100, not_(field("country").in_("DE", "AT")))

    {"all": [{"field": "total", "op": ">", "value": 100},
             {"not": {"field": "country", "op": "in", "value": ["DE", "AT"]}}]}

A condition on a field that is absent does not hold, whatever its operator; so `not_` of it does. What each
operator says of which value is told in the module `operators`, how paths are written at `FieldPath`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import NoReturn

from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.field_path import ABSENT, FieldPath
from api_exchange_core.domain.operators import OPERATORS, Operand, Scalar, Test, operand

_FORMS = '{"field": ..., "op": ..., "value": ...}, {"all": [...]}, {"any": [...]} or {"not": {...}}'


class Condition(ABC):
    """A question that a payload answers with yes or no. Immutable; two are equal that ask the same."""

    __slots__ = ()

    @abstractmethod
    def holds(self, payload: object) -> bool:
        """Whether *payload* (JSON: dicts, lists, strings, numbers, bools, None) meets the condition."""

    @staticmethod
    def parse(document: object, *, where: str = "condition") -> Condition:
        """Read a condition from plain data, as the module's docstring shows it.

        Args:
            document: what `json.loads` or a YAML reader gave.
            where: what the document is called in errors.

        Raises:
            DeclarationError: it is no condition; the message starts with the path to what is wrong.
        """
        if not isinstance(document, Mapping):
            raise DeclarationError(f"{where}: {document!r} is no condition; use {_FORMS}")
        if "field" in document:
            return _parse_comparison(document, where)
        if len(document) != 1:
            raise DeclarationError(f"{where}: a condition has one of the forms {_FORMS}, not {document!r}")
        ((form, content),) = document.items()
        match form:
            case "all":
                return AllOf(_parse_list(content, f"{where}.all"))
            case "any":
                return AnyOf(_parse_list(content, f"{where}.any"))
            case "not":
                return Not(Condition.parse(content, where=f"{where}.not"))
            case _:
                raise DeclarationError(f"{where}: {form!r} begins no condition; use {_FORMS}")

    def __bool__(self) -> NoReturn:
        """Refuse ``a and b``, ``not a`` and ``0 < field("x") < 9``: Python would drop a part in silence."""
        raise DeclarationError(
            "a condition has no truth without a payload; combine conditions with all_of, any_of and not_"
        )


@dataclass(frozen=True, slots=True)
class Comparison(Condition):
    """One field compared with a value that is known at declaration.

    Args:
        path: where the field is.
        op: a symbol of `OPERATORS`.
        value: what to compare with; None for ``exists``.

    Raises:
        DeclarationError: there is no such operator, or the value is nothing it can compare with.
    """

    path: FieldPath
    op: str
    value: Operand = None
    _test: Test = dataclass_field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        with located(f"{self.path.text!r} {self.op}"):
            object.__setattr__(self, "value", operand(self.value))
            object.__setattr__(self, "_test", _operator(self.op)(self.value))

    @override
    def holds(self, payload: object) -> bool:
        found = self.path.find(payload)
        return found is not ABSENT and self._test(found)


@dataclass(frozen=True, slots=True)
class AllOf(Condition):
    """Holds when each of its one or more conditions does."""

    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        _check_parts("all", self.conditions)

    @override
    def holds(self, payload: object) -> bool:
        return all(condition.holds(payload) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class AnyOf(Condition):
    """Holds when at least one of its one or more conditions does."""

    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        _check_parts("any", self.conditions)

    @override
    def holds(self, payload: object) -> bool:
        return any(condition.holds(payload) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """Holds when its condition does not, be it because a field is absent."""

    condition: Condition

    def __post_init__(self) -> None:
        _check_parts("not", (self.condition,))

    @override
    def holds(self, payload: object) -> bool:
        return not self.condition.holds(payload)


class Field:
    """A field of the payload, waiting to be compared: ``field("total") > 100``. Made by `field`."""

    __slots__ = ("_path",)
    __hash__ = None  # type: ignore[assignment]  # == makes a condition, so a field can be nobody's key

    def __init__(self, path: str) -> None:
        self._path = FieldPath(path)

    @override
    def __eq__(self, value: Scalar) -> Comparison:  # type: ignore[override]  # == makes a condition
        return Comparison(self._path, "==", value)

    @override
    def __ne__(self, value: Scalar) -> Comparison:  # type: ignore[override]  # != makes a condition
        return Comparison(self._path, "!=", value)

    def __lt__(self, value: float | str) -> Comparison:
        return Comparison(self._path, "<", value)

    def __le__(self, value: float | str) -> Comparison:
        return Comparison(self._path, "<=", value)

    def __gt__(self, value: float | str) -> Comparison:
        return Comparison(self._path, ">", value)

    def __ge__(self, value: float | str) -> Comparison:
        return Comparison(self._path, ">=", value)

    def in_(self, *values: Scalar) -> Comparison:
        """The field equals one of *values*: ``field("country").in_("DE", "AT")``."""
        return Comparison(self._path, "in", values)

    def not_in(self, *values: Scalar) -> Comparison:
        """The field is there and equals none of *values*."""
        return Comparison(self._path, "not_in", values)

    def contains(self, value: Scalar) -> Comparison:
        """The field is an array with an element *value*, or a string with *value* as a part."""
        return Comparison(self._path, "contains", value)

    def matches(self, pattern: str) -> Comparison:
        """The field is a string that *pattern* describes from its first to its last character."""
        return Comparison(self._path, "matches", pattern)

    def exists(self) -> Comparison:
        """The field is there, null included."""
        return Comparison(self._path, "exists")


def field(path: str) -> Field:
    """Begin a condition on the field at *path*; see `FieldPath` for how paths are written."""
    return Field(path)


def all_of(*conditions: Condition) -> AllOf:
    """Every one of *conditions*, at least one."""
    return AllOf(conditions)


def any_of(*conditions: Condition) -> AnyOf:
    """At least one of *conditions*."""
    return AnyOf(conditions)


def not_(condition: Condition) -> Not:
    """The opposite of *condition*; on an absent field it holds, as the condition itself does not."""
    return Not(condition)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Prefix what is found wrong in a declaration with where in it that is."""
    try:
        yield
    except DeclarationError as error:
        raise DeclarationError(f"{where}: {error}") from None


def _operator(symbol: object) -> Callable[[Operand], Test]:
    if not isinstance(symbol, str) or symbol not in OPERATORS:
        raise DeclarationError(f"{symbol!r} is no operator; use one of {' '.join(OPERATORS)}")
    return OPERATORS[symbol]


def _check_parts(name: str, parts: object) -> None:
    if not isinstance(parts, tuple) or not parts:
        raise DeclarationError(f"{name!r} needs one or more conditions, not {parts!r}")
    for part in parts:
        if not isinstance(part, Condition):
            raise DeclarationError(f'{name!r} joins conditions such as field("total") > 100, not {part!r}')


def _parse_comparison(document: Mapping[str, object], where: str) -> Comparison:
    path, op = document["field"], document.get("op")
    with located(f"{where}.op"):
        _operator(op)
    keys = {"field", "op"} if op == "exists" else {"field", "op", "value"}
    if document.keys() != keys:
        raise DeclarationError(f"{where}: {op!r} goes with the keys {sorted(keys)}, not {list(document)}")
    with located(f"{where}.field"):
        field_path = FieldPath(_string(path))
    with located(f"{where}.value"):
        return Comparison(field_path, _string(op), operand(document.get("value")))


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise DeclarationError(f"{value!r} is no string")
    return value


def _parse_list(content: object, where: str) -> tuple[Condition, ...]:
    if not isinstance(content, list | tuple) or not content:
        raise DeclarationError(f"{where}: needs a list of one or more conditions, not {content!r}")
    return tuple(Condition.parse(part, where=f"{where}[{i}]") for i, part in enumerate(content))
