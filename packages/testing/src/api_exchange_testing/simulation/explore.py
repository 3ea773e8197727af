"""Many schedules of one scenario, and the shortest one that breaks it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api_exchange_core import Exchange
from api_exchange_testing.simulation.plan import Plan
from api_exchange_testing.simulation.shrink import Shrinker
from api_exchange_testing.simulation.simulation import BrokenPromiseError, Simulation
from api_exchange_testing.simulation.wiring import Ports

Scenario = Callable[[Simulation], object]
"""Sends what is to be processed, and adds invariants of its own. Called anew for each schedule."""


def explore(
    exchange: Exchange | Callable[[], Exchange],
    scenario: Scenario,
    *,
    schedules: int = 200,
    seed: int = 0,
    instances: int = 2,
    one_store: bool = False,
    keeper: bool = False,
    ports: Callable[[Ports], Ports] = lambda ports: ports,
) -> int:
    """Simulate *scenario* with one seed after the other; tell of the first that breaks a promise, made short.

    Args:
        exchange: the application, or what declares it anew for each schedule: an external system that a test
            stands in for is made anew with it.
        scenario: what happens.
        schedules: how many seeds are tried.
        seed: the first.
        instances: as of `Simulation`, and so are the others.
        one_store: as of `Simulation`.
        keeper: as of `Simulation`.
        ports: as of `Simulation`.

    Returns:
        How many calls of ports and processors were simulated in all.

    Raises:
        BrokenPromiseError: of the shortest plan that was found; names the seed and the number of schedules tried.
    """

    def simulated(*, seed: int = 0, plan: Plan | None = None) -> Simulation:
        simulation = Simulation(
            exchange if isinstance(exchange, Exchange) else exchange(),
            seed=seed,
            plan=plan,
            instances=instances,
            one_store=one_store,
            keeper=keeper,
            ports=ports,
        )
        scenario(simulation)
        simulation.run()
        return simulation

    steps = 0
    for number in range(seed, seed + schedules):
        try:
            with _no_collections():
                steps += len(simulated(seed=number).story)
        except BrokenPromiseError as error:
            shortest = Shrinker(lambda plan: simulated(plan=plan)).shortest(error)
            shortest.add_note(f"Found with seed {number}, the {number - seed + 1}. of {schedules} schedules.")
            raise shortest from None
    return steps


@contextmanager
def _no_collections() -> Iterator[None]:
    """Within the block nobody looks for cycles of garbage.

    What a schedule makes is kept to its end, for its story, and then let go of without a collection: each that would
    come in between looks at all of it and finds next to nothing.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
