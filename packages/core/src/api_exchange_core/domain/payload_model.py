"""Payloads held to the types that are declared for them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from api_exchange_core.domain.errors import DeclarationError, InvalidPayloadError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic_core import ErrorDetails

T = TypeVar("T")

MAX_REASONS = 10
"""An error tells of so many fields at most: a thousand wrong lines say no more than the first ten."""
MAX_FIELD = 200
"""Longest path to a field in an error, in characters: whoever sends the payload chooses the names in it."""


def validated(model: type[T], payload: object, *, where: str) -> T:
    """Read *payload* as a *model*: a pydantic model, or any other type that pydantic can validate.

    Args:
        model: the declared type. An instance of it is taken as it is.
        payload: JSON as Python reads it, or such an instance.
        where: who asks, for the error.

    Raises:
        InvalidPayloadError: it does not fit. The message names fields and reasons and no value; what a
            validator of the model's own says is repeated word for word, so it should not quote values either.
        DeclarationError: pydantic cannot validate such a type at all.
    """
    try:
        return cast("T", _adapter(cast("Hashable", model)).validate_python(payload))
    except ValidationError as error:
        raise invalid_payload(error, where=f"{where}: no valid {type_name(model)}") from None


def check_model(model: object) -> None:
    """Find out before anything runs whether *model* is a type that pydantic can validate.

    Raises:
        DeclarationError: it is not.
    """
    _adapter(model)


def invalid_payload(error: ValidationError, *, where: str) -> InvalidPayloadError:
    """Our error for pydantic's, without the values that its text quotes.

    To be raised ``from None``: a chained error reaches the logs as well.
    """
    details = error.errors(include_input=False, include_url=False)
    reasons = [f"{_field(detail)}: {_reason(detail)}" for detail in details[:MAX_REASONS]]
    if len(details) > MAX_REASONS:
        reasons.append(f"and {len(details) - MAX_REASONS} more")
    return InvalidPayloadError(f"{where}: {'; '.join(reasons)}")


def type_name(model: object) -> str:
    """How errors name a type."""
    return model.__name__ if isinstance(model, type) and get_origin(model) is None else str(model)


@cache
def _adapter(model: object) -> TypeAdapter[object]:
    try:
        return TypeAdapter(cast("type[object]", model))
    except PydanticUserError:
        raise DeclarationError(
            f"pydantic cannot validate {type_name(model)}; use a pydantic model, a dataclass or a JSON type"
        ) from None


def _field(detail: ErrorDetails) -> str:
    path = ".".join(str(step) for step in detail["loc"]) or "the payload"
    return path if len(path) <= MAX_FIELD else path[:MAX_FIELD] + "..."


def _reason(detail: ErrorDetails) -> str:
    if detail["type"] == "union_tag_invalid":  # the one message of pydantic's own that quotes the payload
        return f"the tag is none of {detail['ctx']['expected_tags']}"
    return detail["msg"]
