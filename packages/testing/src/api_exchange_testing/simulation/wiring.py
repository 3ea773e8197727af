"""The real use cases over the ports of one instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import cache
from typing import Any, Final, cast

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
from api_exchange_testing.simulation.recipe import Recipe
from api_exchange_testing.simulation.token_watch import TokenWatch, WatchedTokens, WatchedTokenStore
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


@dataclass(frozen=True, slots=True)
class Wired:
    """What an instance works with."""

    handler: ProcessorHandler
    calls: CallsInTurn
    do_chore: DoChore
    chores: Sequence[Chore]


def for_instance(world: World, ports: Ports, place: Place, seed: int) -> Wired:
    """The use cases of an instance over *ports*."""
    slots = _slots(world, ports, seed) | {"place": place, "token_watch": world.token_watch}
    return Wired(*_instance().filled(slots))


def sender(world: World, seed: int) -> SendMessage:
    """What sends messages from outside of the instances, over the ports as they are."""
    (made,) = _outside("sender").filled(_slots(world, ports_of(world), seed))
    return cast("SendMessage", made)


def fan_out(world: World, seed: int) -> FanOutTick:
    """What ticks from outside of the instances, over the ports as they are."""
    (made,) = _outside("fan_out").filled(_slots(world, ports_of(world), seed))
    return cast("FanOutTick", made)


_PORTS: Final = tuple(one.name for one in fields(Ports))
_GIVEN: Final = (*_PORTS, "exchange", "observer", "randomness")


def _slots(world: World, ports: Ports, seed: int) -> dict[str, Any]:
    own = {"exchange": world.exchange, "observer": world.observer, "randomness": SeededRandomness(seed)}
    return {name: getattr(ports, name) for name in _PORTS} | own


@cache
def _instance() -> Recipe:
    place: providers.Dependency[Place] = providers.Dependency()
    token_watch: providers.Dependency[TokenWatch] = providers.Dependency()
    watched_tokens = providers.Singleton(
        WatchedTokens,
        token_watch,
        store=UseCases.token_store,
        sealer=UseCases.sealer,
        clock=UseCases.clock,
        sleeper=UseCases.sleeper,
        randomness=UseCases.randomness,
        observer=UseCases.observer,
    )
    return Recipe.of(
        UseCases,
        [one.name for one in fields(Wired)],
        given=(*_GIVEN, "place", "token_watch"),
        instead={
            "calls": providers.Singleton(CallsInTurn, UseCases.services, place=place),
            "tokens": watched_tokens,
            "place": place,
            "token_watch": token_watch,
        },
    )


@cache
def _outside(what: str) -> Recipe:
    return Recipe.of(UseCases, [what], given=_GIVEN)
