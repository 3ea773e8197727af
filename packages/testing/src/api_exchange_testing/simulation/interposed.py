"""Ports with the simulation in between: every call is a step at which something may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from typing_extensions import override

from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.simulation.ledger import Ledger
from api_exchange_testing.simulation.plan import WHEN_SENDING, Fault
from api_exchange_testing.simulation.turns import Turn, Turns

Port = TypeVar("Port")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a port is called from: an instance, in the simulation."""

    turns: Turns
    turn: Turn

    def called(self, what: str, call: Callable[[], Any]) -> Any:
        """What *call* answers, if nothing goes wrong at this step.

        Raises:
            Crashed: the instance ends, before or after the call.
            TransientError: the call is refused, or its answer lost.
        """
        event = self.turns.step(self.turn, what)
        answer = call()
        if event is not None and event.fault is Fault.CRASH_AFTER:
            self.turns.crash(self.turn)
        if event is not None and event.fault is Fault.LOSE_ANSWER:
            raise TransientError("the simulation has lost the answer to this call")
        return answer


Listener = Callable[[str, Sequence[object], object], None]
"""Hears of each call that has taken effect: its name, its arguments and its answer."""


class Interposed:
    """Any port: its methods are steps, and what it holds beside methods is interposed as well."""

    def __init__(self, port: object, name: str, place: Place, listener: Listener | None = None) -> None:
        self._port = port
        self._name = name
        self._place = place
        self._listener = listener

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._port, attribute)
        name = f"{self._name}.{attribute}"
        if not callable(value):
            return Interposed(value, name, self._place, self._listener)

        def called(*args: object, **kwargs: object) -> Any:
            answer = value(*args, **kwargs)
            if self._listener is not None:
                self._listener(name, args, answer)
            return answer

        return lambda *args, **kwargs: self._place.called(name, lambda: called(*args, **kwargs))


def interposed(port: Port, name: str, place: Place, listener: Listener | None = None) -> Port:
    """*port*, with a step at each call of its methods."""
    return cast("Port", Interposed(port, name, place, listener))


@dataclass(frozen=True, slots=True)
class SkewedClock(Clock):
    """The clock of an instance, which is wrong by a constant."""

    true: VirtualClock
    by: timedelta

    @override
    def now(self) -> datetime:
        return self.true.now() + self.by


@dataclass(frozen=True, slots=True)
class InterposedUnits(UnitOfWorkFactory):
    """Units of work whose parts are interposed, and whose commits the ledger hears of."""

    units: UnitOfWorkFactory
    ledger: Ledger
    place: Place

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        listener = self.ledger.unit_of(tenant_id)
        self.place.called("begin", lambda: None)
        with self.units.begin(tenant_id) as unit:
            yield interposed(unit, "unit", self.place, listener)


@dataclass(frozen=True, slots=True)
class InterposedPublisher(MessagePublisher):
    """A transport that sends twice, late, or only a part."""

    publisher: MessagePublisher
    place: Place

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        what = f"publish {len(messages)} to {', '.join(sorted({one.queue for one in messages}))}"
        event = self.place.turns.step(self.place.turn, what, WHEN_SENDING)
        fault = None if event is None else event.fault
        if event is not None and fault is Fault.DELAY:
            late = timedelta(seconds=event.amount)
            messages = [replace(one, delay=one.delay + late) for one in messages]
        if fault is Fault.DUPLICATE:
            self.publisher.publish(messages)
        if event is not None and fault is Fault.TEAR:
            self.publisher.publish(messages[: event.amount % (len(messages) + 1)])
            raise TransientError("the simulation has let only a part of the batch arrive")
        self.publisher.publish(messages)
        if fault is Fault.CRASH_AFTER:
            self.place.turns.crash(self.place.turn)
        if fault is Fault.LOSE_ANSWER:
            raise TransientError("the simulation has lost the answer to this call")


@dataclass(frozen=True, slots=True)
class NotedPublisher(MessagePublisher):
    """A transport of which the ledger hears."""

    publisher: MessagePublisher
    ledger: Ledger

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.publisher.publish(messages)
        self.ledger.note_sent(messages)
