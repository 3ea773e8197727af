"""A container, read once and followed again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, call
from typing import Any, NamedTuple, cast

from dependency_injector import containers, providers

Providers = Mapping[str, "providers.Provider[Any]"]


class _Making(NamedTuple):
    """One thing, made of others, which are known by their numbers."""

    make: Callable[..., Any]
    by_place: Sequence[int] = ()
    by_name: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a container makes of what it is given, as a list of things to make, one after the other.

    A simulation makes all of it anew for each life of an instance, and filling the slots of the container itself
    would take longer than a whole schedule does.

    Args:
        given: the names of what each filling is given.
        makings: what is made, each of what stands before it; numbers count from the first that is given.
        wanted: the numbers of what comes out.
    """

    given: Sequence[str]
    makings: Sequence[_Making]
    wanted: Sequence[int]

    @classmethod
    def of(
        cls,
        container: type[containers.DeclarativeContainer],
        wanted: Iterable[str],
        *,
        given: Iterable[str],
        instead: Providers | None = None,
    ) -> Recipe:
        """How *container* makes what is *wanted*.

        Args:
            container: which.
            wanted: the names of the providers whose objects come out.
            given: the names of the providers whose objects are handed in.
            instead: providers in place of those of the container, by name, and what they need beside those.

        Raises:
            LookupError: something is needed that is not given.
            TypeError: a provider is of a kind that this cannot read.
        """
        by_name: Providers = {**container.providers, **(instead or {})}
        names = {id(provider): name for name, provider in (*container.providers.items(), *by_name.items())}
        reader = _Reader(by_name, names, given=list(given))
        numbers = [reader.number_of(by_name[name]) for name in wanted]
        return cls(reader.given, reader.makings, numbers)

    def filled(self, given: Mapping[str, object]) -> Sequence[Any]:
        """What is made of *given*, in the order in which it was wanted."""
        made: list[Any] = [given[name] for name in self.given]
        for make, by_place, by_name in self.makings:
            named = {name: made[number] for name, number in by_name} if by_name else {}
            made.append(make(*[made[number] for number in by_place], **named))
        return [made[number] for number in self.wanted]


@dataclass(slots=True)
class _Reader:
    """Reads providers, each once, what it needs before it."""

    by_name: Providers
    names: Mapping[int, str]
    given: Sequence[str]
    makings: list[_Making] = field(default_factory=list)
    _numbers: dict[int, int] = field(default_factory=dict)

    def number_of(self, provider: object) -> int:
        name = self.names.get(id(provider), "")
        if name in self.given:
            return self.given.index(name)
        if not isinstance(provider, providers.Provider):
            return self._made(lambda: provider)
        provider = self.by_name.get(name, provider)
        if id(provider) not in self._numbers:
            self._numbers[id(provider)] = self._read(provider, name)
        return self._numbers[id(provider)]

    def _read(self, provider: providers.Provider[Any], name: str) -> int:
        match provider:
            case providers.Dependency():
                if provider.default is None:
                    raise LookupError(f"the simulation has no port for {name!r}")
                return self.number_of(provider.default)
            case providers.Singleton():
                return self._made(
                    cast("Callable[..., Any]", provider.provides), provider.args, provider.kwargs
                )
            case providers.List():
                return self._made(_listed, provider.args)
            case providers.MethodCaller():
                method: Any = provider  # whose attributes are typed as what they would get
                return self._made(call, (method.provides, *method.args), method.kwargs)
            case providers.AttributeGetter():
                return self._made(attrgetter(str(provider.name)), (provider.provides,))
            case providers.ProvidedInstance():
                return self.number_of(provider.provides)
            case _:
                raise TypeError(f"{provider!r}: the simulation cannot read this kind of provider")

    def _made(
        self,
        make: Callable[..., Any],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> int:
        by_place = [self.number_of(one) for one in args]
        by_name = [(name, self.number_of(one)) for name, one in (kwargs or {}).items()]
        self.makings.append(_Making(make, by_place, by_name))
        return len(self.given) + len(self.makings) - 1


def _listed(*parts: object) -> list[object]:
    return list(parts)
