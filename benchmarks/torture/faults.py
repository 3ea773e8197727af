"""What is done to the processes and to the database while they work."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

from benchmarks.torture.machine import VISIBILITY

PAUSE_SECONDS = VISIBILITY.total_seconds() + 1
"""A process stands still for longer than its claims hold, and then goes on as if nothing had been."""

_PAUSES = 0.25
_PROGRAM = "benchmarks.torture.process"


@dataclass(slots=True)
class Processes:
    """Processes that are started anew whenever they are killed.

    Args:
        start: what each runs.
        count: how many.
    """

    start: Callable[[], None]
    count: int
    _running: list[BaseProcess] = field(default_factory=list)
    _paused: dict[int, float] = field(default_factory=dict)

    def start_all(self) -> None:
        """Start them. They are forked from a clean server that has imported the program already."""
        self._running = [self._new() for _ in range(self.count)]

    def kill(self, number: int) -> None:
        """End one as ``kill -9`` does, and start another in its place."""
        self._end(self._running[number])
        self._paused.pop(number, None)
        self._running[number] = self._new()

    def pause(self, number: int) -> None:
        """Let one stand still for `PAUSE_SECONDS`, as a machine that is moved or swaps."""
        os.kill(self._pid(self._running[number]), signal.SIGSTOP)
        self._paused[number] = time.monotonic() + PAUSE_SECONDS

    def wake_the_rested(self) -> None:
        """Let those go on that have stood still for long enough."""
        for number in [number for number, until in self._paused.items() if time.monotonic() > until]:
            self._wake(number)

    def died_by_themselves(self) -> int:
        """How many have ended though nobody killed them."""
        return sum(process.exitcode is not None for process in self._running)

    def wake_all(self) -> None:
        """Let all go on."""
        for number in list(self._paused):
            self._wake(number)

    def end_all(self) -> None:
        """End all of them."""
        for process in self._running:
            self._end(process)

    def _wake(self, number: int) -> None:
        del self._paused[number]
        os.kill(self._pid(self._running[number]), signal.SIGCONT)

    def _new(self) -> BaseProcess:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([_PROGRAM])
        process = context.Process(target=self.start, daemon=True)
        process.start()
        return process

    def _end(self, process: BaseProcess) -> None:
        process.kill()
        process.join()

    def _pid(self, process: BaseProcess) -> int:
        assert process.pid is not None
        return process.pid


@dataclass(slots=True)
class Faults:
    """Strikes now and then.

    Args:
        rng: decides when, whom and how.
        processes: the victims.
        every: seconds between two faults, on average.
        restarts: how often the database crashes and comes back.
        restart: how it does.
        done: what was done so far.
    """

    rng: random.Random
    processes: Processes
    every: float
    restarts: int
    restart: Callable[[], None]
    done: Counter[str] = field(default_factory=Counter)
    _next: float = 0.0

    def strike_if_time(self) -> None:
        """Do the next thing, if it is time."""
        self.processes.wake_the_rested()
        now = time.monotonic()
        if self._next == 0.0:
            self._next = now + self._wait()
        elif now >= self._next:
            self._strike()
            self._next = time.monotonic() + self._wait()

    def _strike(self) -> None:
        victim = self.rng.randrange(self.processes.count)
        if self.done["database restarts"] < self.restarts and self.done["kills"] >= 2:
            self.restart()
            self.done["database restarts"] += 1
        elif self.rng.random() < _PAUSES:
            self.processes.pause(victim)
            self.done["pauses"] += 1
        else:
            self.processes.kill(victim)
            self.done["kills"] += 1

    def _wait(self) -> float:
        return self.rng.uniform(0.5, 1.5) * self.every
