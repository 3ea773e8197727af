"""The real use cases over the ports of one instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import cache
from typing import Any, Final

from dependency_injector import providers

from api_exchange_core.application.chores import Chore, DoChore
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.ports.budgets import Budgets
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.credential_store import CredentialStore
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_core.ports.sealer import Sealer
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.token_store import TokenStore
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.unit_of_work import InMemoryUnitOfWorkFactory
from api_exchange_testing.simulation.calls import CallsInTurn
from api_exchange_testing.simulation.interposed import (
    InterposedConsumer,
    InterposedPublisher,
    InterposedUnits,
    Place,
    SkewedClock,
    SleeperInTurn,
    interposed,
)
from api_exchange_testing.simulation.token_watch import WatchedTokens, WatchedTokenStore
from api_exchange_testing.simulation.world import World


@dataclass(frozen=True, slots=True)
class Ports:
    """What one instance reaches the world by."""

    clock: Clock
    sleeper: Sleeper
    publisher: MessagePublisher
    consumer: MessageConsumer
    units: UnitOfWorkFactory
    outbox: OutboxRelaySource
    files: FileSink
    tenants: TenantDirectory
    leases: Leases
    eraser: Eraser
    retention: RetentionStore
    credentials: CredentialStore
    sealer: Sealer
    budgets: Budgets
    token_store: TokenStore


def ports_of(world: World) -> Ports:
    """The ports as they are, for what happens outside of the instances."""
    return Ports(
        clock=world.clock,
        sleeper=VirtualSleeper(world.clock),
        publisher=world.entrance,
        consumer=world.queues,
        units=InMemoryUnitOfWorkFactory(world.store),
        outbox=world.store.relay_source,
        files=world.files,
        tenants=world.tenants,
        leases=world.leases,
        eraser=world.eraser,
        retention=world.retention,
        credentials=world.credentials,
        sealer=world.sealer,
        budgets=world.budgets,
        token_store=world.tokens,
    )


def faulty(world: World, place: Place, skew: timedelta) -> Ports:
    """The ports of one instance, at which things go wrong."""
    ports = ports_of(world)
    clock = SkewedClock(world.clock, skew)
    return Ports(
        clock=clock,
        sleeper=SleeperInTurn(place),
        publisher=InterposedPublisher(ports.publisher, place),
        consumer=InterposedConsumer(ports.consumer, place),
        units=InterposedUnits(ports.units, world.ledger, place, clock),
        outbox=interposed(ports.outbox, "outbox", place),
        files=interposed(ports.files, "files", place),
        tenants=interposed(ports.tenants, "tenants", place),
        leases=interposed(ports.leases, "leases", place),
        eraser=interposed(ports.eraser, "eraser", place),
        retention=interposed(ports.retention, "retention", place),
        credentials=interposed(ports.credentials, "credentials", place),
        sealer=interposed(ports.sealer, "sealer", place),
        budgets=interposed(ports.budgets, "budgets", place),
        token_store=interposed(ports.token_store, "tokens", place),
    )


def watched(ports: Ports, world: World) -> Ports:
    """*ports*, whosever adapters they are, with the watches that see what the application makes of them."""
    return replace(ports, token_store=WatchedTokenStore(ports.token_store, world.token_watch))


Slots = Mapping[str, Any]
"""What fills the dependencies of the container, by name."""

Made = dict[int, Any]
"""What one filling has made so far, by provider."""

Recipe = Callable[[Slots, Made], Any]


@dataclass(frozen=True, slots=True)
class Wired:
    """What an instance works with."""

    handler: ProcessorHandler
    calls: CallsInTurn
    do_chore: DoChore
    chores: Sequence[Chore]


@dataclass(frozen=True, slots=True)
class _Recipes:
    """The container of the use cases, read once and followed for each instance.

    It says what is made of what; filling its slots anew would take longer than a whole simulation does.
    """

    services: Recipe
    handler: Recipe
    do_chore: Recipe
    chores: Recipe
    sender: Recipe
    fan_out: Recipe


def for_instance(world: World, ports: Ports, place: Place, seed: int) -> Wired:
    """The use cases of an instance over *ports*."""
    recipes, made = _recipes(), Made()
    slots = _slots(world, ports, SeededRandomness(seed))
    slots["tokens"] = WatchedTokens(
        world.token_watch,
        store=ports.token_store,
        sealer=ports.sealer,
        clock=ports.clock,
        sleeper=ports.sleeper,
        randomness=slots["randomness"],
        observer=world.observer,
    )
    calls = CallsInTurn(recipes.services(slots, made), place=place)
    slots["calls"] = calls
    return Wired(
        handler=recipes.handler(slots, made),
        calls=calls,
        do_chore=recipes.do_chore(slots, made),
        chores=recipes.chores(slots, made),
    )


def outside(world: World, seed: int) -> tuple[SendMessage, FanOutTick]:
    """What sends messages and ticks from outside of the instances, over the ports as they are."""
    slots = _slots(world, ports_of(world), SeededRandomness(seed))
    recipes, made = _recipes(), Made()
    return recipes.sender(slots, made), recipes.fan_out(slots, made)


def _slots(world: World, ports: Ports, randomness: Randomness) -> dict[str, Any]:
    own = {"exchange": world.exchange, "randomness": randomness, "observer": world.observer}
    return {one.name: getattr(ports, one.name) for one in fields(Ports)} | own


@cache
def _recipes() -> _Recipes:
    return _Recipes(**{one.name: _recipe(UseCases.providers[one.name]) for one in fields(_Recipes)})


def _recipe(provider: object) -> Recipe:
    """How what *provider* gives is made, once for each filling."""
    name = _NAMES.get(id(provider), "")
    make = _making(provider)

    def made(slots: Slots, others: Made) -> Any:
        if name in slots:
            return slots[name]
        if id(provider) not in others:
            others[id(provider)] = make(slots, others)
        return others[id(provider)]

    return made


def _making(provider: object) -> Recipe:
    match provider:
        case providers.Dependency():
            return _recipe(provider.default) if provider.default is not None else _missing(provider)
        case providers.Singleton():
            return _call(lambda *_: provider.provides, provider.args, provider.kwargs)
        case providers.List():
            parts = [_recipe(part) for part in provider.args]
            return lambda slots, made: [part(slots, made) for part in parts]
        case providers.MethodCaller():
            method: Any = provider  # whose attributes are typed as what they would get
            return _call(_recipe(method.provides), method.args, method.kwargs)
        case providers.AttributeGetter():
            owner, attribute = _recipe(provider.provides), str(provider.name)
            return lambda slots, made: getattr(owner(slots, made), attribute)
        case providers.ProvidedInstance():
            return _recipe(provider.provides)
        case providers.Provider():
            raise TypeError(f"{provider!r}: the simulation cannot read this kind of provider")
        case _:
            return lambda *_: provider


def _call(what: Recipe, args: Sequence[object], kwargs: Mapping[str, object]) -> Recipe:
    by_place = [_recipe(one) for one in args]
    by_name = {name: _recipe(one) for name, one in kwargs.items()}

    def call(slots: Slots, made: Made) -> Any:
        return what(slots, made)(
            *[one(slots, made) for one in by_place],
            **{name: one(slots, made) for name, one in by_name.items()},
        )

    return call


def _missing(provider: object) -> Recipe:
    def missing(*_: object) -> Any:
        raise LookupError(f"the simulation has no port for {_NAMES.get(id(provider))!r}")

    return missing


_NAMES: Final = {id(provider): name for name, provider in UseCases.providers.items()}
