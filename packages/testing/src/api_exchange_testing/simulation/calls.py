"""Calls of processors on the one thread of a simulation: side by side where their function says so."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from typing_extensions import override

from api_exchange_core.application.call import Call, Incoming
from api_exchange_core.application.call_runner import Begin, CallRunner
from api_exchange_core.application.services import Services
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_core.ports.observer import Observer
from api_exchange_testing.simulation.asides import VirtualLoop
from api_exchange_testing.simulation.interposed import Place
from api_exchange_testing.simulation.plan import WHEN_PROCESSING, Fault
from api_exchange_testing.simulation.story import Step
from api_exchange_testing.simulation.turns import Strand

Answer = TypeVar("Answer")

_A_MOMENT = timedelta(milliseconds=1)


class CallsInTurn(CallRunner):
    """Runs processors, each of whose calls is a step; of a batch several are under way at a time, if so declared.

    Args:
        services: of the instance.
        place: whose calls they are.
    """

    def __init__(self, services: Services, *, place: Place) -> None:
        super().__init__(services)
        self._place = place
        self._virtual: VirtualLoop | None = None

    @override
    def close(self) -> None:
        if self._virtual is not None:
            self._virtual.end()
            self._virtual = None

    @override
    def _run_here(self, call: Call) -> Call:
        step = self._begun(call)
        if step is None:
            return call
        super()._run_here(call)
        return self._ended(call, step)

    @override
    async def _run_async(self, call: Call) -> Call:
        step = self._begun(call)
        if step is None:
            return call
        await super()._run_async(call)
        return self._ended(call, step)

    @override
    def _in_threads(
        self, batch: Sequence[Incoming], concurrency: int, begin: Begin, stop: Callable[[], bool]
    ) -> Sequence[Call | None]:
        ended: dict[int, Call | None] = {}
        left = iter(enumerate(batch))

        def work() -> None:
            for place, incoming in left:
                ended[place] = None if stop() else self._attempt_here(incoming, begin, stop)

        turns = self._place.turns
        workers = [turns.spawn(f"call {n}", work) for n in range(min(concurrency, len(batch)))]
        turns.wait(ready=lambda: all(worker.is_over for worker in workers))
        return [ended[place] for place in range(len(batch))]

    @override
    def _to_its_end(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        if self._virtual is None:
            self._virtual = VirtualLoop(self._place.turns)
        return self._virtual.run_until_complete(coroutine)

    def _begun(self, call: Call) -> Step | None:
        """The step of *call*; None if it fails there, before the processor has done anything."""
        what = (call.function.name, call.message.id)
        try:
            return self._place.turns.step(self._place.life, "process", what, WHEN_PROCESSING)
        except TransientError as error:
            call.fail(error)
            return None

    def _ended(self, call: Call, step: Step) -> Call:
        step.answer = call.problem
        if step.fault is Fault.CRASH_AFTER:
            self._place.turns.crash(self._place.life)
        if step.fault is Fault.LOSE_ANSWER:
            call.fail(TransientError("the simulation lets the processor fail at its very end"))
        return call


class HeartbeatInTurn(Heartbeat):
    """The framework's own heartbeat, as a strand in place of a thread: its renewals are steps that may fail.

    Args:
        observer: hears of renewals that failed.
        place: what it beats in.
    """

    def __init__(self, observer: Observer, place: Place) -> None:
        self._started = place.turns.clock.now()
        self._place = place
        self._strand: Strand | None = None
        super().__init__(observer, now=self._seconds)

    def _seconds(self) -> float:
        return (self._place.turns.clock.now() - self._started).total_seconds()

    @override
    def _wake_by(self, due: float) -> None:
        if self._strand is None or self._strand.is_over:
            self._strand = self._place.turns.spawn("heartbeat", self._run)

    @override
    def _sleep(self) -> bool:
        turns = self._place.turns
        while (due := self._next_due()) is not None:
            left = due - self._seconds()
            if left <= 0:
                return True
            until = turns.clock.now() + timedelta(seconds=left) + _A_MOMENT
            turns.wait(until=until, ready=partial(self._is_changed, due))
        return False

    def _is_changed(self, due: float) -> bool:
        return self._next_due() != due
