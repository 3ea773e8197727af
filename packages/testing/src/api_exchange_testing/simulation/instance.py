"""One instance of a simulated deployment, from its start to its crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.local.heartbeat import BatchKeeper
from api_exchange_testing.simulation.calls import HeartbeatInTurn
from api_exchange_testing.simulation.chores import Rota
from api_exchange_testing.simulation.elsewhere import Here, context_of
from api_exchange_testing.simulation.interposed import Place
from api_exchange_testing.simulation.turns import Life, Turns
from api_exchange_testing.simulation.wiring import Ports, faulty, for_instance, watched
from api_exchange_testing.simulation.world import World

_VISIBILITY: Final = timedelta(seconds=60)
_MAX_RUN: Final = timedelta(minutes=5)
_AFTER_ERROR: Final = timedelta(seconds=1)
_BATCH: Final = 3


class Instance:
    """Receives, handles and settles, and does its chores, over ports at which things go wrong.

    Args:
        world: what it works on.
        turns: whom it takes turns with.
        number: which instance.
        skew: by how many seconds its clock is wrong.
        seed: of its ids and jitter.
        keeper: renew what is in hand while processors work on it.
        ports: makes the ports that it is handed from those that it would get.

    Attributes:
        life: its life among the others.
    """

    def __init__(
        self,
        world: World,
        turns: Turns,
        number: int,
        *,
        skew: int,
        seed: int,
        keeper: bool,
        ports: Callable[[Ports], Ports],
    ) -> None:
        self.life: Life = turns.start(
            number, self._work, lambda life: context_of(Here(Place(turns, life), world.token_watch))
        )
        place = Place(turns, self.life)
        self._world = world
        self._turns = turns
        self._ports = watched(ports(faulty(world, place, timedelta(seconds=skew))), world)
        self._functions = world.exchange.functions
        self._own: dict[FunctionName, Function] = {}
        wired = for_instance(world, self._ports, place, seed)
        self._handler = wired.handler
        self._calls = wired.calls
        self._heartbeat = HeartbeatInTurn(world.observer, place) if keeper else None
        chores = [
            world.leases.watched(chore, wired.do_chore.owner, self.life, self._ports.clock)
            for chore in wired.chores
        ]
        self._rota = Rota(wired.do_chore, chores, self._ports.clock)

    def end(self) -> None:
        """Let go of what it holds outside of the simulation."""
        self._calls.close()

    def _work(self) -> bool:
        """One round over the functions and chores; whether there was anything to do."""
        worked = [self._guarded(function) for function in self._functions]
        return self._rota.round() or any(worked)

    def _guarded(self, function: Function) -> bool:
        try:
            return self._handle(function)
        except TransientError:
            # As a worker does: the next round comes after a rest.
            self._turns.wait(until=self._turns.clock.now() + _AFTER_ERROR)
            return True

    def _handle(self, function: Function) -> bool:
        if not self._world.has_for(function.input_queue):
            return False  # an empty receive is as good as none, and a fault there would be a fault wasted
        deliveries = self._ports.consumer.receive(
            function.input_queue, max_messages=_BATCH, visibility=_VISIBILITY
        )
        if deliveries:
            settlements = self._settlements(self._own_of(function), deliveries)
            if settlements:
                self._ports.consumer.settle(settlements)
        return bool(deliveries)

    def _own_of(self, function: Function) -> Function:
        """*function* with a processor that this life makes: what it keeps in memory ends with it."""
        if function.name not in self._own:
            self._own[function.name] = replace(function)
        return self._own[function.name]

    def _settlements(self, function: Function, deliveries: Sequence[Delivery]) -> Sequence[Settlement]:
        if self._heartbeat is None:
            return self._handler.handle(function, deliveries)
        keeper = BatchKeeper(
            self._heartbeat, self._ports.consumer, deliveries, visibility=_VISIBILITY, max_run=_MAX_RUN
        )
        with keeper.extending():
            return self._handler.handle(function, deliveries, keeper=keeper)
