"""Calls that processors make of systems that are not the exchange's: in a simulation they are steps as well."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

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
    that it failed. What has been sent arrives, even if the instance stands still meanwhile; so *call* is no step of it,
    and calls nothing that is one. Elsewhere it is just a call, and time passes as the services at work see to it.

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
    request = _Request(lambda: call(*arguments), copy_context())
    # Sent already: an instance that stands still from here on does not hold up what is under way.
    turns.later(turns.clock.now() + takes / 2, request.arrive)
    try:
        step = turns.step(here.place.life, name, arguments, ANYWHERE)
    except BaseException:
        request.is_lost = True
        raise
    turns.wait(ready=lambda: request.has_arrived)
    answer = request.answer()
    step.answer = answer
    if step.fault is not Fault.CRASH_AFTER:
        turns.wait(until=turns.clock.now() + takes / 2)
    here.place.afterwards(step)
    return answer


class _Request(Generic[Answer]):
    """A request that is under way.

    Args:
        effect: what it does where it arrives.
        context: of who has sent it.
    """

    def __init__(self, effect: Callable[[], Answer], context: Context) -> None:
        self._effect = effect
        self._context = context
        self._answers: list[Answer] = []
        self._error: Exception | None = None
        self.is_lost = False

    @property
    def has_arrived(self) -> bool:
        """Whether it has taken effect, or was refused."""
        return bool(self._answers) or self._error is not None

    def arrive(self) -> None:
        """Take effect, unless it was lost before."""
        if self.is_lost:
            return
        try:
            self._answers.append(self._context.run(self._effect))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for who has sent it
            self._error = error

    def answer(self) -> Answer:
        """What came of it."""
        if self._error is not None:
            raise self._error
        return self._answers[0]


def true_time() -> datetime:
    """What time it really is, whatever the clock of an instance says."""
    here = _HERE.get()
    return current_services().clock.now() if here is None else here.place.turns.clock.now()
