"""Mappers: the step between another system's form of a thing and ours, and back.

    class ShopMapper(Mapper[ShopOrder, CanonicalOrder]):
        @override
        def map(self, source: ShopOrder) -> CanonicalOrder:
            return CanonicalOrder(order_id=source.id, total=source.amount)

    mapper = ShopMapper() >> AddVat()
    order = mapper.to_canonical(message.payload)

The two types are pydantic models, or else what pydantic can validate, such as ``dict[str, JsonValue]``. Both
sides are validated: `map` sees nothing invalid, and nothing invalid gets past it. The answer is an instance
rather than a dict, since its fields are typed where the processor goes on to use them, and
`ProcessorContext.persist_entity` takes it as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeGuard, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import ValidationError
from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError, InvalidPayloadError, PermanentError
from api_exchange_core.domain.payload_model import check_model, invalid_payload, type_name, validated

Source = TypeVar("Source")
Canonical = TypeVar("Canonical")
Further = TypeVar("Further")


class Mapper(ABC, Generic[Source, Canonical]):
    """Maps a source to its canonical form and, where `unmap` is defined, back. Pure: no state, no effects.

    A subclass names the two types between the brackets, or inherits them from a mapper that does.

    Raises:
        DeclarationError: on definition, a subclass does not, or pydantic cannot validate what it names.
    """

    _types: ClassVar[tuple[object, ...]] = ()

    @override
    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.source_type is not Mapper.source_type:
            return  # known only to its instances
        for base in cls.__dict__.get("__orig_bases__", ()):
            if get_origin(base) is Mapper:
                cls._types = get_args(base)
        if not cls._types or any(isinstance(named, TypeVar) for named in cls._types):
            raise DeclarationError(
                f"{cls.__name__} does not say what it maps; name two types: "
                f"class {cls.__name__}(Mapper[ShopOrder, CanonicalOrder])"
            )
        for named in cls._types:
            check_model(named)

    @staticmethod
    def of(
        to: Callable[[Source], Canonical], back: Callable[[Canonical], Source] | None = None
    ) -> Mapper[Source, Canonical]:
        """A mapper made of one function or two, whose annotations say what it maps.

        Raises:
            DeclarationError: a function is not annotated, or the second does not lead back.
        """
        return _FunctionMapper(to, back)

    @property
    def name(self) -> str:
        """How errors name the mapper."""
        return type(self).__name__

    @property
    def source_type(self) -> type[Source]:
        """What `map` takes."""
        return cast("type[Source]", self._types[0])

    @property
    def canonical_type(self) -> type[Canonical]:
        """What `map` gives."""
        return cast("type[Canonical]", self._types[1])

    @abstractmethod
    def map(self, source: Source) -> Canonical:
        """The canonical form of *source*, which is valid."""

    def unmap(self, canonical: Canonical) -> Source:  # noqa: ARG002  # what an override is given
        """The source form of *canonical*, which is valid. To be overridden where there is a way back.

        Raises:
            PermanentError: the mapper has not overridden it.
        """
        raise PermanentError(f"{self.name} maps one way only; give it an unmap method to map back")

    def to_canonical(self, payload: object) -> Canonical:
        """Validate *payload* as a source, map it, and validate the answer.

        Args:
            payload: JSON as Python reads it, or an instance of the source type.

        Raises:
            InvalidPayloadError: either side is not valid; it names mapper, fields and reasons, no values.
        """
        source = validated(self.source_type, payload, where=self.name)
        try:
            canonical = self.map(source)
        except ValidationError as error:
            raise self._made_invalid("map", error) from None
        return validated(self.canonical_type, canonical, where=f"{self.name}.map")

    def from_canonical(self, canonical: object) -> Source:
        """Validate *canonical*, map it back, and validate the answer.

        Args:
            canonical: JSON as Python reads it, or an instance of the canonical type.

        Raises:
            InvalidPayloadError: either side is not valid.
            PermanentError: the mapper, or one that it is composed of, maps one way only.
        """
        given = validated(self.canonical_type, canonical, where=self.name)
        try:
            source = self.unmap(given)
        except ValidationError as error:
            raise self._made_invalid("unmap", error) from None
        return validated(self.source_type, source, where=f"{self.name}.unmap")

    def __rshift__(self, after: Mapper[Canonical, Further]) -> Mapper[Source, Further]:
        """This mapper, then *after*; on the way back, *after* first.

        Raises:
            DeclarationError: *after* does not take what this mapper gives.
        """
        return _MapperChain(self, after)

    def _made_invalid(self, method: str, error: ValidationError) -> InvalidPayloadError:
        return invalid_payload(error, where=f"{self.name}.{method}: made no valid {error.title}")


class _MapperChain(Mapper[Source, Further], Generic[Source, Canonical, Further]):
    def __init__(self, first: Mapper[Source, Canonical], second: Mapper[Canonical, Further]) -> None:
        if not _fits(first.canonical_type, second.source_type):
            raise DeclarationError(
                f"{first.name} >> {second.name}: the first gives {type_name(first.canonical_type)}, "
                f"the second takes {type_name(second.source_type)}; put a mapper between them"
            )
        self._first = first
        self._second = second

    @property
    @override
    def name(self) -> str:
        return f"{self._first.name} >> {self._second.name}"

    @property
    @override
    def source_type(self) -> type[Source]:
        return self._first.source_type

    @property
    @override
    def canonical_type(self) -> type[Further]:
        return self._second.canonical_type

    @override
    def map(self, source: Source) -> Further:
        return self._second.to_canonical(self._first.to_canonical(source))

    @override
    def unmap(self, canonical: Further) -> Source:
        return self._first.from_canonical(self._second.from_canonical(canonical))


class _FunctionMapper(Mapper[Source, Canonical]):
    def __init__(self, to: Callable[[Source], Canonical], back: Callable[[Canonical], Source] | None) -> None:
        self._to = to
        self._back = back
        self._source, self._canonical = _annotated_types(to)
        if back is not None:
            taken, given = _annotated_types(back)
            if not (_fits(self._canonical, taken) and _fits(given, self._source)):
                raise DeclarationError(
                    f"{self.name}: the way back takes {type_name(taken)} and gives {type_name(given)}; "
                    f"it must take {type_name(self._canonical)} and give {type_name(self._source)}"
                )

    @property
    @override
    def name(self) -> str:
        return _function_name(self._to)

    @property
    @override
    def source_type(self) -> type[Source]:
        return cast("type[Source]", self._source)

    @property
    @override
    def canonical_type(self) -> type[Canonical]:
        return cast("type[Canonical]", self._canonical)

    @override
    def map(self, source: Source) -> Canonical:
        return self._to(source)

    @override
    def unmap(self, canonical: Canonical) -> Source:
        return super().unmap(canonical) if self._back is None else self._back(canonical)


def _annotated_types(function: Callable[..., object]) -> tuple[object, object]:
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise DeclarationError(
            f"{_function_name(function)}: its annotations cannot be read: {error}"
        ) from None
    given = hints.pop("return", None)
    if given is None or len(hints) != 1:
        raise DeclarationError(
            f"{_function_name(function)}: annotate its one parameter and its result; both are validated"
        )
    (taken,) = hints.values()
    for named in (taken, given):
        check_model(named)
    return taken, given


def _function_name(function: object) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _fits(given: object, wanted: object) -> bool:
    if given == wanted or wanted is object:
        return True
    return _is_class(given) and _is_class(wanted) and issubclass(given, wanted)


def _is_class(named: object) -> TypeGuard[type]:
    return isinstance(named, type) and get_origin(named) is None
