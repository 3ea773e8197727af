"""One thread that fires the timers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api_exchange_core.application.call import loggable
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.trigger import TimerTrigger
from api_exchange_core.local.bell import Bell
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer

_LONGEST_SLEEP = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Fires each timer function at its scheduled times.

    A tick that was due while the process was down is not made up for: the next one is. Several processes may run the
    same timers: the ticks of one scheduled time have the same ids, and the journal takes each once.
    """

    functions: Sequence[Function]
    fan_out: FanOutTick
    clock: Clock
    observer: Observer
    bell: Bell
    stopping: Callable[[], bool]

    def run(self) -> None:
        """Fire until `stopping`."""
        now = self.clock.now()
        due = {function.name: _next(function, now) for function in self.functions}
        while not self.stopping():
            now = self.clock.now()
            for function in self.functions:
                if due[function.name] <= now and self._fire(function, due[function.name]):
                    due[function.name] = _next(function, now)
            wait = min([_LONGEST_SLEEP, *(max(at - now, timedelta(0)) for at in due.values())])
            self.bell.wait(self.bell.rings, at_most=max(wait, timedelta(milliseconds=10)))

    def _fire(self, function: Function, scheduled_at: datetime) -> bool:
        try:
            self.fan_out.fan_out(function, scheduled_at)
        except Exception as error:  # noqa: BLE001 - the last frame we own: without its thread no timer fires any more
            self.observer.event("timer.error", function=function.name, **loggable(error))
            self.bell.rest(_LONGEST_SLEEP, stopping=self.stopping)
            return False
        self.bell.ring()
        return True


def _next(function: Function, now: datetime) -> datetime:
    if not isinstance(function.trigger, TimerTrigger):
        raise TypeError(f"function {function.name!r} has no schedule")
    return function.trigger.schedule.next_after(now)
