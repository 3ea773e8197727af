"""The real use cases over the ports of one instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from typing import Any

from dependency_injector import providers

from api_exchange_core.application.chores import Chore, DoChore
from api_exchange_core.application.erase import EraseTenant
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.application.purge import PurgeExpired
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.unit_of_work import InMemoryUnitOfWorkFactory
from api_exchange_testing.simulation.calls import CallsInTurn
from api_exchange_testing.simulation.chores import store_chores
from api_exchange_testing.simulation.interposed import (
    InterposedConsumer,
    InterposedPublisher,
    InterposedUnits,
    Place,
    SkewedClock,
    SleeperInTurn,
    interposed,
)
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
    )


def faulty(world: World, place: Place, skew: timedelta) -> Ports:
    """The ports of one instance, at which things go wrong."""
    ports = ports_of(world)
    return Ports(
        clock=SkewedClock(world.clock, skew),
        sleeper=SleeperInTurn(place),
        publisher=InterposedPublisher(ports.publisher, place),
        consumer=InterposedConsumer(ports.consumer, place),
        units=InterposedUnits(ports.units, world.ledger, place),
        outbox=interposed(ports.outbox, "outbox", place),
        files=interposed(ports.files, "files", place),
        tenants=interposed(ports.tenants, "tenants", place),
        leases=interposed(ports.leases, "leases", place),
        eraser=interposed(ports.eraser, "eraser", place),
        retention=interposed(ports.retention, "retention", place),
    )


@dataclass(frozen=True, slots=True)
class Wired:
    """What an instance works with."""

    handler: ProcessorHandler
    calls: CallsInTurn
    do_chore: DoChore
    chores: Sequence[Chore]


class Wiring:
    """Puts the real use cases together again and again, over other ports.

    Making the container costs a hundred times as much as filling its slots anew.
    """

    def __init__(self) -> None:
        slots = ("exchange", "randomness", "observer", *(one.name for one in fields(Ports)))
        self._slots: dict[str, providers.Object[Any]] = {name: providers.Object(None) for name in slots}
        taken = {name: slot for name, slot in self._slots.items() if name in UseCases.dependencies}
        self._place: providers.Object[Any] = providers.Object(None)
        self._use_cases = UseCases(**taken)
        self._calls = providers.Singleton(
            CallsInTurn,
            self._slots["clock"],
            self._slots["observer"],
            self._slots["sleeper"],
            self._slots["randomness"],
            place=self._place,
        )
        self._use_cases.calls.override(self._calls)

    def for_instance(self, world: World, ports: Ports, place: Place, seed: int) -> Wired:
        """The use cases of an instance over *ports*."""
        self._fill(world, ports, seed)
        self._place.set_provides(place)
        use_cases = self._use_cases
        randomness = self._slots["randomness"]()
        purge = PurgeExpired(ports.retention, world.exchange.retention, ports.clock, ports.sleeper)
        erase = EraseTenant(
            ports.tenants, ports.eraser, ports.files, ports.clock, randomness, ports.sleeper
        )
        return Wired(
            handler=use_cases.handler(),
            calls=self._calls(),
            do_chore=use_cases.do_chore(),
            chores=(*use_cases.chores(), *store_chores(purge, erase)),
        )

    def outside(self, world: World, seed: int) -> UseCases:
        """The use cases over the ports as they are: what is taken out before the next call stays as it is."""
        self._fill(world, ports_of(world), seed)
        return self._use_cases

    def _fill(self, world: World, ports: Ports, seed: int) -> None:
        own = {
            "exchange": world.exchange,
            "randomness": SeededRandomness(seed),
            "observer": world.observer,
        }
        for name, slot in self._slots.items():
            slot.set_provides(own[name] if name in own else getattr(ports, name))
        self._use_cases.reset_singletons()
        self._calls.reset()


@cache
def wiring() -> Wiring:
    """The one of this process."""
    return Wiring()
