"""One instance of a simulated deployment, from its start to its crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar

from dependency_injector import providers
from typing_extensions import override

from api_exchange_core.application.call import Call, Incoming
from api_exchange_core.application.call_runner import Begin, CallRunner
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.result import ProcessingResult
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.unit_of_work import InMemoryUnitOfWorkFactory
from api_exchange_testing.simulation.interposed import (
    InterposedPublisher,
    InterposedUnits,
    Place,
    SkewedClock,
    interposed,
)
from api_exchange_testing.simulation.turns import Turns
from api_exchange_testing.simulation.world import World

Answer = TypeVar("Answer")

_VISIBILITY: Final = timedelta(seconds=60)
_BATCH: Final = 3


@dataclass(frozen=True, slots=True)
class Ports:
    """What one instance reaches the world by."""

    clock: Clock
    publisher: MessagePublisher
    consumer: MessageConsumer
    units: UnitOfWorkFactory
    outbox: OutboxRelaySource
    files: FileSink
    tenants: TenantDirectory


class Instance:
    """Receives, handles, settles and relays, over ports at which things go wrong.

    Args:
        world: what it works on.
        turns: whom it takes turns with.
        wiring: puts the application together.
        number: which instance.
        skew: by how many seconds its clock is wrong.
        seed: of its ids and jitter.
        ports: what it is to be handed in place of the ports it would get.
    """

    def __init__(
        self,
        world: World,
        turns: Turns,
        wiring: Wiring,
        number: int,
        *,
        skew: int,
        seed: int,
        ports: Callable[[Ports], Ports],
    ) -> None:
        place = Place(turns, turns.start(number, self._work))
        self._ports = ports(_faulty(world, place, timedelta(seconds=skew)))
        # Each life makes its own processors: what they keep in memory ends with it.
        self._functions = [replace(function) for function in world.exchange.functions]
        use_cases = wiring.over(world, self._ports, seed)
        wiring.calls.turns = turns
        self._handler = use_cases.handler()
        self._relay = use_cases.relay()

    def _work(self) -> bool:
        """One round over the functions; whether there was anything to do."""
        rounds: list[Callable[[], bool]] = [partial(self._handle, one) for one in self._functions]
        worked = [_guarded(one) for one in (*rounds, self._sweep)]
        return any(worked)

    def _handle(self, function: Function) -> bool:
        deliveries = self._ports.consumer.receive(
            function.input_queue, max_messages=_BATCH, visibility=_VISIBILITY
        )
        if deliveries:
            settlements = self._handler.handle(function, deliveries)
            if settlements:
                self._ports.consumer.settle(settlements)
        return bool(deliveries)

    def _sweep(self) -> bool:
        return self._relay.sweep() > 0


def _guarded(work: Callable[[], bool]) -> bool:
    try:
        return work()
    except TransientError:
        return True  # as a worker does: the next round comes


class CallsInTurn(CallRunner):
    """Runs processors one after the other on the one thread of the simulation, ``async def`` ones to their end."""

    turns: Turns

    @override
    def _in_threads(
        self, batch: Sequence[Incoming], concurrency: int, begin: Begin, stop: Callable[[], bool]
    ) -> Sequence[Call | None]:
        return [None if stop() else self._attempt_here(incoming, begin, stop) for incoming in batch]

    @override
    def _on_loop(
        self, batch: Sequence[Incoming], concurrency: int, begin: Begin, stop: Callable[[], bool]
    ) -> Sequence[Call | None]:
        return [
            None if stop() else self._to_its_end(self._attempt_async(incoming, begin, stop))
            for incoming in batch
        ]

    @override
    def _await(self, answer: asyncio.Future[ProcessingResult]) -> ProcessingResult:
        async def wait() -> ProcessingResult:
            return await answer

        return self._to_its_end(wait())

    def _to_its_end(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        with self.turns.alone(), asyncio.Runner() as runner:
            return runner.run(coroutine)


def ports_of(world: World) -> Ports:
    """The ports as they are, for what happens outside of the instances."""
    return Ports(
        clock=world.clock,
        publisher=world.entrance,
        consumer=world.queues,
        units=InMemoryUnitOfWorkFactory(world.store),
        outbox=world.store.relay_source,
        files=world.files,
        tenants=world.tenants,
    )


def _faulty(world: World, place: Place, skew: timedelta) -> Ports:
    ports = ports_of(world)
    return Ports(
        clock=SkewedClock(world.clock, skew),
        publisher=InterposedPublisher(ports.publisher, place),
        consumer=interposed(ports.consumer, "queue", place),
        units=InterposedUnits(ports.units, world.ledger, place),
        outbox=interposed(ports.outbox, "outbox", place),
        files=interposed(ports.files, "files", place),
        tenants=interposed(ports.tenants, "tenants", place),
    )


class Wiring:
    """The real use cases, wired again and again over other ports.

    Making the container costs a hundred times as much as filling its slots anew.
    """

    def __init__(self) -> None:
        self._slots: dict[str, providers.Object[Any]] = {
            slot.name: providers.Object(None) for slot in fields(Ports) if slot.name != "consumer"
        }
        for name in ("exchange", "randomness", "observer", "sleeper"):
            self._slots[name] = providers.Object(None)
        self._use_cases = uses = UseCases(**self._slots)
        self._calls = providers.Singleton(
            CallsInTurn, uses.clock, uses.observer, uses.sleeper, uses.randomness
        )
        self._use_cases.calls.override(self._calls)

    @property
    def calls(self) -> CallsInTurn:
        """What runs the processors of the use cases that were wired last."""
        return self._calls()

    def over(self, world: World, ports: Ports, seed: int) -> UseCases:
        """The use cases over *ports*: what is taken out of them before the next call stays as it is."""
        filled: dict[str, object] = {name: getattr(ports, name, None) for name in self._slots}
        filled |= {
            "exchange": world.exchange,
            "randomness": SeededRandomness(seed),
            "observer": world.observer,
            "sleeper": VirtualSleeper(world.clock),
        }
        for name, slot in self._slots.items():
            slot.set_provides(filled[name])
        self._use_cases.reset_singletons()
        self._calls.reset()
        return self._use_cases
