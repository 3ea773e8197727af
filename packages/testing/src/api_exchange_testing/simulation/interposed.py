"""Ports with the simulation in between: every call is a step at which something may go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any, TypeVar, cast

from typing_extensions import override

from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.simulation.ledger import Ledger, Listener
from api_exchange_testing.simulation.plan import (
    ANYWHERE,
    WHEN_RECEIVING,
    WHEN_SENDING,
    WHEN_SETTLING,
    WHEN_WAITING,
    Fault,
)
from api_exchange_testing.simulation.story import Step
from api_exchange_testing.simulation.turns import Life, Turns

Port = TypeVar("Port")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a port is called from: an instance, in the simulation."""

    turns: Turns
    life: Life

    def called(
        self,
        name: str,
        call: Callable[..., Any],
        arguments: Sequence[Any] = (),
        options: dict[str, Any] | None = None,
        possible: Sequence[Fault] = ANYWHERE,
    ) -> Any:
        """What *call* answers, if nothing goes wrong at this step.

        Raises:
            Crashed: the instance ends, before or after the call.
            TransientError: the call is refused, or its answer lost.
        """
        step = self.turns.step(self.life, name, arguments, possible)
        step.answer = answer = call(*arguments, **options) if options else call(*arguments)
        if step.event is not None:
            self.afterwards(step)
        return answer

    def afterwards(self, step: Step) -> None:
        """What goes wrong once a call has taken effect.

        Raises:
            Crashed: the instance ends.
            TransientError: the answer is lost.
        """
        match step.fault:
            case Fault.CRASH_AFTER:
                self.turns.crash(self.life)
            case Fault.LOSE_ANSWER:
                raise TransientError("the simulation has lost the answer to this call")


class Interposed:
    """Any port: its methods are steps, and what it holds beside methods is interposed as well."""

    __slots__ = ("_listener", "_place", "_port")

    def __init__(self, port: object, place: Place, listener: Listener | None) -> None:
        self._port = port
        self._place = place
        self._listener = listener


def interposed(port: Port, name: str, place: Place, listener: Listener | None = None) -> Port:
    """*port*, with a step at each call of its methods.

    Args:
        port: any.
        name: what its steps are told by.
        place: where it is called from.
        listener: hears of each call that has taken effect.
    """
    stands_in = _interposing(cast("Hashable", type(port)), name)
    return cast("Port", stands_in(port, place, listener))


@lru_cache(maxsize=256)
def _interposing(port: Any, name: str) -> type[Interposed]:
    """The class that stands in between for ports of one class: every schedule makes dozens of its instances."""
    members = {
        attribute: _step(attribute, f"{name}.{attribute}")
        if callable(getattr(port, attribute))
        else _part(attribute, f"{name}.{attribute}")
        for attribute in dir(port)
        if not attribute.startswith("_")
    }
    return type(f"Interposed{port.__name__}", (Interposed,), {"__slots__": (), **members})


def _part(attribute: str, name: str) -> property:
    def part(self: Interposed) -> object:
        return interposed(getattr(self._port, attribute), name, self._place, self._listener)

    return property(part)


def _step(attribute: str, name: str) -> Callable[..., Any]:
    def call(self: Interposed, *args: Any, **options: Any) -> Any:
        # Three quarters of all steps come this way: it is written out, and not made of other calls.
        place, listener = self._place, self._listener
        step = place.turns.step(place.life, name, args)
        step.answer = answer = getattr(self._port, attribute)(*args, **options)
        if listener is not None:
            listener(name, args, options, answer)
        if step.event is not None:
            place.afterwards(step)
        return answer

    return call


@dataclass(frozen=True, slots=True)
class SkewedClock(Clock):
    """The clock of an instance, which is wrong by a constant."""

    true: VirtualClock
    by: timedelta

    @override
    def now(self) -> datetime:
        return self.true.now() + self.by


@dataclass(frozen=True, slots=True)
class SleeperInTurn(Sleeper):
    """While one sleeps, others go on."""

    place: Place

    @override
    def sleep(self, time: timedelta) -> None:
        turns = self.place.turns
        turns.step(self.place.life, "sleep", (time,), WHEN_WAITING)
        turns.wait(until=turns.clock.now() + time)

    @override
    async def sleep_async(self, time: timedelta) -> None:
        self.place.turns.step(self.place.life, "sleep", (time,), WHEN_WAITING)
        await asyncio.sleep(time.total_seconds())


@dataclass(frozen=True, slots=True)
class InterposedUnits(UnitOfWorkFactory):
    """Units of work whose parts are interposed, and whose commits the ledger hears of."""

    units: UnitOfWorkFactory
    ledger: Ledger
    place: Place
    clock: Clock

    @override
    def begin(self, tenant_id: TenantId) -> AbstractContextManager[UnitOfWork]:
        listener = self.ledger.unit_of(tenant_id, self.place.life.name, self.clock)
        step = self.place.turns.step(self.place.life, "unit.begin", (tenant_id,))
        self.place.afterwards(step)
        return _InterposedUnit(self.units.begin(tenant_id), self.place, listener)


@dataclass(frozen=True, slots=True)
class _InterposedUnit(AbstractContextManager[UnitOfWork]):
    """A unit of work from its begin to its end."""

    begun: AbstractContextManager[UnitOfWork]
    place: Place
    listener: Listener

    @override
    def __enter__(self) -> UnitOfWork:
        return interposed(self.begun.__enter__(), "unit", self.place, self.listener)

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self.begun.__exit__(kind, error, traceback)


@dataclass(frozen=True, slots=True)
class InterposedPublisher(MessagePublisher):
    """A transport that sends twice, late, or only a part."""

    publisher: MessagePublisher
    place: Place

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        step = self.place.turns.step(self.place.life, "publish", (messages,), WHEN_SENDING)
        match step.fault:
            case Fault.DELAY:
                late = timedelta(seconds=step.amount)
                self.publisher.publish([replace(one, delay=one.delay + late) for one in messages])
            case Fault.DUPLICATE:
                self.publisher.publish(messages)
                self.publisher.publish(messages)
            case Fault.TEAR:
                self.publisher.publish(_first_part(messages, step.amount))
                raise TransientError("the simulation has let only a part of the batch arrive")
            case _:
                self.publisher.publish(messages)
                self.place.afterwards(step)


@dataclass(frozen=True, slots=True)
class InterposedConsumer(MessageConsumer):
    """A transport that hands out in another order, or carries out only a part of what it is told."""

    consumer: MessageConsumer
    place: Place

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        step = self.place.turns.step(self.place.life, "queue.receive", (queue,), WHEN_RECEIVING)
        deliveries = self.consumer.receive(queue, max_messages=max_messages, visibility=visibility)
        if step.fault is Fault.REORDER and deliveries:
            turn = 1 + step.amount % len(deliveries)
            deliveries = [*deliveries[turn:], *deliveries[:turn]][::-1]
        step.answer = deliveries
        self.place.afterwards(step)
        return deliveries

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        options = {"visibility": visibility}
        lost: Sequence[Delivery] = self.place.called(
            "queue.extend", self.consumer.extend, (deliveries,), options
        )
        return lost

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        step = self.place.turns.step(self.place.life, "queue.settle", (settlements,), WHEN_SETTLING)
        if step.fault is Fault.TEAR:
            self.consumer.settle(_first_part(settlements, step.amount))
            raise TransientError("the simulation has let only a part of the batch be settled")
        self.consumer.settle(settlements)
        self.place.afterwards(step)


@dataclass(frozen=True, slots=True)
class NotedPublisher(MessagePublisher):
    """A transport of which the ledger hears."""

    publisher: MessagePublisher
    ledger: Ledger

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.publisher.publish(messages)
        self.ledger.note_sent(messages)


Part = TypeVar("Part")


def _first_part(batch: Sequence[Part], amount: int) -> Sequence[Part]:
    """Some of a batch, never all of it."""
    return batch[: amount % len(batch)] if batch else batch
