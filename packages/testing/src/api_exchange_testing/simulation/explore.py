"""Many schedules of one scenario, and the shortest one that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api_exchange_core import Exchange
from api_exchange_testing.simulation.plan import Event, Plan
from api_exchange_testing.simulation.simulation import BrokenPromiseError, Simulation

Scenario = Callable[[Simulation], object]
"""Sends what is to be processed, and adds invariants of its own. Called anew for each schedule."""


def explore(
    exchange: Exchange | Callable[[], Exchange],
    scenario: Scenario,
    *,
    schedules: int = 200,
    seed: int = 0,
    **options: Any,
) -> int:
    """Simulate *scenario* with one seed after the other; tell of the first that breaks a promise, made short.

    Args:
        exchange: the application, or what declares it anew for each schedule: an external system that a test
            stands in for is made anew with it.
        scenario: what happens.
        schedules: how many seeds are tried.
        seed: the first.
        options: of `Simulation`: instances, one_store, ports, profile.

    Returns:
        How many calls of ports were simulated in all.

    Raises:
        BrokenPromiseError: of the shortest plan that was found; names the seed and the number of schedules tried.
    """

    def simulated(**how: Any) -> Simulation:
        simulation = Simulation(exchange if isinstance(exchange, Exchange) else exchange(), **how, **options)
        scenario(simulation)
        simulation.run()
        return simulation

    steps = 0
    for number in range(seed, seed + schedules):
        try:
            steps += len(simulated(seed=number).story)
        except BrokenPromiseError as error:
            shortest = _shortened(error, lambda plan: simulated(plan=plan))
            shortest.add_note(f"Found with seed {number}, the {number - seed + 1}. of {schedules} schedules.")
            raise shortest from None
    return steps


Run = Callable[[Plan], object]


def _shortened(error: BrokenPromiseError, run: Run) -> BrokenPromiseError:
    """The failure of a plan with as few events as possible, and these as small as possible."""
    size = max(1, len(error.plan.events) // 2)
    while size >= 1:
        error = _without_chunks(error, run, size)
        size //= 2
    for index in range(len(error.plan.events)):
        error = _with_less(error, run, index)
    upright = Plan(error.plan.events)
    return _failure(run, upright) or error


def _without_chunks(error: BrokenPromiseError, run: Run, size: int) -> BrokenPromiseError:
    start = 0
    while start < len(error.plan.events):
        shorter = error.plan.without(range(start, start + size))
        failure = _failure(run, shorter)
        if failure is None:
            start += size
        else:
            error = failure
    return error


def _with_less(error: BrokenPromiseError, run: Run, index: int) -> BrokenPromiseError:
    events = list(error.plan.events)
    if events[index].amount == 0:
        return error
    events[index] = Event(events[index].step, events[index].fault)
    return _failure(run, Plan(tuple(events), error.plan.skew)) or error


def _failure(run: Run, plan: Plan) -> BrokenPromiseError | None:
    try:
        run(plan)
    except BrokenPromiseError as error:
        return error
    return None
