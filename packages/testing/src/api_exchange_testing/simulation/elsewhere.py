"""Calls that processors make of systems that are not the exchange's: in a simulation they are steps as well."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from api_exchange_core.application.services import current_services
from api_exchange_testing.simulation.interposed import Place
from api_exchange_testing.simulation.plan import ANYWHERE, Fault
from api_exchange_testing.simulation.token_watch import TokenWatch

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Here:
    """What a stand-in for somebody's system finds out about the simulation that it is called in."""

    place: Place
    watch: TokenWatch


_HERE: ContextVar[Here | None] = ContextVar("api_exchange_simulation", default=None)


def context_of(here: Here) -> Context:
    """The context that an instance lives in."""
    context = Context()
    context.run(_HERE.set, here)
    return context


def current_simulation() -> Here | None:
    """Where the code that runs is; None if in no simulation."""
    return _HERE.get()


def elsewhere(
    name: str, call: Callable[..., Answer], *arguments: object, takes: timedelta = timedelta(0)
) -> Answer:
    """What *call* answers, that stands for a request to somebody's system.

    In a simulation it is a step: before and after *call* has taken effect the instance may end, stand still or be told
    that it failed. Elsewhere it is just a call, and time passes as the services at work see to it.

    Args:
        name: of the step in the story, such as ``bank.transfer``.
        call: what the system does.
        *arguments: of it.
        takes: how long a request is under way, half of it before it takes effect.

    Raises:
        TransientError: the request or its answer was lost.
    """
    here = _HERE.get()
    if here is None:
        current_services().sleeper.sleep(takes)
        return call(*arguments)
    turns = here.place.turns
    step = turns.step(here.place.life, name, arguments, ANYWHERE)
    turns.wait(until=turns.clock.now() + takes / 2)
    answer = call(*arguments)
    step.answer = answer
    if step.fault is not Fault.CRASH_AFTER:
        turns.wait(until=turns.clock.now() + takes / 2)
    here.place.afterwards(step)
    return answer


def true_time() -> datetime:
    """What time it really is, whatever the clock of an instance says."""
    here = _HERE.get()
    return current_services().clock.now() if here is None else here.place.turns.clock.now()
