"""Payloads that fit a pydantic model."""

from __future__ import annotations

import types
from decimal import Decimal
from typing import Annotated, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import BaseModel, ValidationError
from typing_extensions import TypeForm

from api_exchange_core.domain.json_value import JsonValue
from api_exchange_testing.strategies.names import characters

_MOST_PLACES = 4
_MOST_DIGITS = 12


def payloads_of(model: type[BaseModel], **fields: SearchStrategy[object]) -> SearchStrategy[JsonValue]:
    """Payloads that a processor with ``payload_model = model`` is handed: the model's JSON form.

    Types, bounds, lengths and patterns of the fields are kept. What a validator refuses beyond that is drawn again.

    Args:
        model: what they fit.
        fields: strategies for fields whose type says too little, by name.

    Raises:
        hypothesis.errors.FailedHealthCheck: hardly any drawn value fits; name a strategy for the narrow field.
    """
    return _values_of_model(model, fields).filter(_fits).map(lambda payload: payload[0])


def _values_of_model(
    model: type[BaseModel], fields: dict[str, SearchStrategy[object]]
) -> SearchStrategy[tuple[JsonValue, ...]]:
    drawn = st.fixed_dictionaries(
        {
            name: fields[name] if name in fields else _values(field.annotation, field.metadata)
            for name, field in model.model_fields.items()
        }
    )
    return drawn.map(lambda values: _json_form(model, values))


def _values(annotation: TypeForm[object] | None, metadata: list[object]) -> SearchStrategy[object]:
    """Values of the type *annotation*, within what *metadata* says of it."""
    inner = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _values(inner[0], [*inner[1:], *metadata])
    if origin in (Union, types.UnionType):
        return st.one_of([_values(one, metadata) for one in inner])
    if origin is list and not metadata:
        return st.lists(_values(inner[0], []), max_size=5)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return payloads_of(annotation)
    if annotation is Decimal:
        return _decimals(metadata)
    pattern = _said("pattern", metadata)
    if isinstance(pattern, str):
        return st.from_regex(pattern, alphabet=characters()).filter(lambda text: "\n" not in text)
    known = [one for one in _opened(metadata) if type(one).__module__ == "annotated_types"]
    if known:
        return st.from_type(Annotated[(annotation, *known)])  # type: ignore[arg-type] # a type form, made just here
    return st.from_type(annotation)  # type: ignore[arg-type] # a type form, such as Literal


def _decimals(metadata: list[object]) -> SearchStrategy[Decimal]:
    places = _number(_said("decimal_places", metadata), _MOST_PLACES)
    digits = _number(_said("max_digits", metadata), _MOST_DIGITS)
    largest = Decimal(10) ** (digits - places) - Decimal(1).scaleb(-places)
    lowest = max([-largest, *(one.ge for one in metadata if isinstance(one, Ge))], key=_decimal)
    highest = min([largest, *(one.le for one in metadata if isinstance(one, Le))], key=_decimal)
    return st.decimals(_decimal(lowest), _decimal(highest), places=places).filter(
        lambda value: (
            all(value > _decimal(one.gt) for one in metadata if isinstance(one, Gt))
            and all(value < _decimal(one.lt) for one in metadata if isinstance(one, Lt))
        )
    )


def _opened(metadata: list[object]) -> list[object]:
    """The single constraints of *metadata*; pydantic's StringConstraints is several in one."""
    return [
        part
        for one in metadata
        for part in (one if hasattr(one, "__iter__") and not isinstance(one, str) else (one,))
    ]


def _said(name: str, metadata: list[object]) -> object | None:
    return next((getattr(one, name) for one in metadata if getattr(one, name, None) is not None), None)


def _number(said: object, default: int) -> int:
    return said if isinstance(said, int) else default


def _decimal(value: object) -> Decimal:
    return Decimal(str(value))


def _json_form(model: type[BaseModel], values: dict[str, object]) -> tuple[JsonValue, ...]:
    """The payload; nothing if *values* do not fit."""
    try:
        return (model.model_validate(values, by_name=True).model_dump(mode="json", by_alias=True),)
    except ValidationError:
        return ()


def _fits(payload: tuple[JsonValue, ...]) -> bool:
    return payload != ()
