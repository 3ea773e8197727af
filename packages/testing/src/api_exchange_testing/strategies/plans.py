"""Plans of simulations: what goes wrong, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

if TYPE_CHECKING:
    from api_exchange_testing.simulation.plan import Plan

_FIRST_STEPS = 200
_MOST_EVENTS = 8
_SKEW = 30


def plans(
    *, steps: int = _FIRST_STEPS, events: int = _MOST_EVENTS, instances: int = 3
) -> SearchStrategy[Plan]:
    """Plans for `Simulation(exchange, plan=...)`; they shrink to few faults, early ones, and clocks that are right.

    Args:
        steps: faults happen within so many; an event at a step where it cannot happen does not.
        events: most of one plan. More than a message has attempts may make it a dead letter.
        instances: so many have clocks that may be wrong.
    """
    # Here, so that a test of one processor does not wait until simulations have been loaded.
    from api_exchange_testing.simulation.plan import MOST, Event, Fault, Plan

    amounts = st.one_of(st.sampled_from([0, 1, 10, 70, 400]), st.integers(0, MOST))
    happening = st.builds(
        Event, step=st.integers(1, steps), fault=st.sampled_from(sorted(Fault)), amount=amounts
    )
    chosen = st.lists(happening, max_size=events, unique_by=lambda event: event.step)
    skew = st.lists(st.integers(-_SKEW, _SKEW), max_size=instances)
    return st.builds(lambda one, wrong: Plan(tuple(sorted(one)), tuple(wrong)), chosen, skew)
