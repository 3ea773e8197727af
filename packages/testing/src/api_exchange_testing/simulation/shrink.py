"""The shortest plan that still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from api_exchange_testing.simulation.plan import Event, Plan
from api_exchange_testing.simulation.simulation import BrokenPromiseError

_MOST_RUNS = 500
_SMALLER = (0, 1, 10, 70)
_FARTHEST = 12
"""By how many steps what follows an event may move, once that event is left out."""


@dataclass(slots=True)
class Shrinker:
    """Tries smaller and smaller plans.

    Args:
        run: simulates a plan; raises BrokenPromiseError if it fails.
    """

    run: Callable[[Plan], object]
    _runs: int = 0

    def shortest(self, error: BrokenPromiseError) -> BrokenPromiseError:
        """The failure of a plan with as few events as possible, these as small as possible, and clocks right."""
        while self._runs < _MOST_RUNS and (smaller := self._smaller(error)) is not None:
            error = smaller
        return error

    def _smaller(self, error: BrokenPromiseError) -> BrokenPromiseError | None:
        for plan in _candidates(error.plan):
            if self._runs >= _MOST_RUNS:
                return None
            self._runs += 1
            try:
                self.run(plan)
            except BrokenPromiseError as failure:
                return failure
        return None


def _candidates(plan: Plan) -> Iterator[Plan]:
    """Plans that are smaller, the smallest first."""
    if any(plan.skew):
        yield Plan(plan.events)
    yield from _with_fewer(plan)
    yield from _with_better_clocks(plan)
    yield from _with_less(plan)
    for place in range(len(plan.events) - 1):
        for by in range(1, _FARTHEST + 1):
            yield from (_moved(plan, place, by=-by), _moved(plan, place, by=by))


def _with_fewer(plan: Plan) -> Iterator[Plan]:
    size = len(plan.events) // 2
    while size >= 1:
        for start in range(0, len(plan.events), size):
            yield plan.without(range(start, start + size))
        size //= 2
    if len(plan.events) == 1:
        yield Plan((), plan.skew)


def _with_better_clocks(plan: Plan) -> Iterator[Plan]:
    for place, seconds in enumerate(plan.skew):
        if seconds:
            yield replace(plan, skew=(*plan.skew[:place], 0, *plan.skew[place + 1 :]))


def _with_less(plan: Plan) -> Iterator[Plan]:
    for place, event in enumerate(plan.events):
        for amount in _SMALLER:
            if amount < event.amount:
                smaller = Event(event.step, event.fault, amount)
                yield replace(plan, events=(*plan.events[:place], smaller, *plan.events[place + 1 :]))


def _moved(plan: Plan, left_out: int, *, by: int) -> Plan:
    """The plan less one event, whose work is not done twice any more: the later ones happen at other steps."""
    earlier, later = plan.events[:left_out], plan.events[left_out + 1 :]
    return replace(plan, events=(*earlier, *(replace(one, step=max(1, one.step + by)) for one in later)))
