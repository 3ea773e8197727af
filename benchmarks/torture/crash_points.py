"""Ending the process at each step of the way, one after the other, and letting another finish the work.

The steps are found and not listed: before and after each call of a port, and after each statement that writes. A run
without a crash tells how many there are; then for each of them a process is forked that kills itself there with
SIGKILL, and a second one works to rest, later by more than any claim holds. Time is virtual, so nobody waits.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, NoReturn, cast

from sqlalchemy import Connection, Engine, delete, event
from typing_extensions import override

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import writing
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.schema import metadata, tenants
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.application.processor_handler import never
from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_core.local.worker import Worker
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing import RecordingObserver, VirtualClock
from benchmarks.torture.exchange import TENANTS, Trouble, declared
from benchmarks.torture.findings import AtRest, waiting
from benchmarks.torture.machine import LIMITS, Parts, Place, engines_of
from benchmarks.torture.workload import Workload

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = timedelta(minutes=10)
"""By then every claim of a process that died is over."""

Broken = dict[str, tuple[int, int]]
"""What does not hold: expected and found."""

_ONLY_READ = ("BEGIN", "SELECT")
"""To die at these is to die at the last step before them."""

_ROUNDS = 20
_BETWEEN_ROUNDS = timedelta(seconds=10)


@dataclass(slots=True)
class Steps:
    """Counts the steps of a process, and ends it at one of them.

    Args:
        last: the number of the step to die at, counted from 1; 0 to live on.
    """

    last: int = 0
    names: list[str] = field(default_factory=list)

    def reach(self, name: str) -> None:
        """Be at a step."""
        self.names.append(name)
        if len(self.names) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def watching(self, engines: Iterable[Engine]) -> Iterator[None]:
        """Within the block, each statement of *engines* that writes is a step once it is executed."""
        for engine in engines:
            event.listen(engine, "after_cursor_execute", self._executed)
        try:
            yield
        finally:
            for engine in engines:
                event.remove(engine, "after_cursor_execute", self._executed)

    def _executed(self, _: Connection, __: object, statement: str, *___: object) -> None:
        words = statement.split()
        if words[0] not in _ONLY_READ:
            self.reach(f"after {' '.join(words[:3])}")


class _Watched:
    """A port whose calls are steps."""

    def __init__(self, name: str, inner: object, steps: Steps) -> None:
        self._name = name
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> object:
        part = getattr(self._inner, name)
        return partial(self._call, name, part) if callable(part) else part

    def _call(self, name: str, method: Callable[..., object], *args: object, **named: object) -> object:
        self._steps.reach(f"before {self._name}.{name}")
        answer = method(*args, **named)
        self._steps.reach(f"after {self._name}.{name}")
        return answer


def watched(name: str, port: Any, steps: Steps) -> Any:
    """*port*, with each call of it a step. Whatever the port is, its type stays."""
    return _Watched(name, port, steps)


@dataclass(frozen=True, slots=True)
class _SettlesInSteps(MessageConsumer):
    """A consumer that is watched as it settles. Most calls of `receive` find nothing, and its writing is a step."""

    inner: MessageConsumer
    settling: MessageConsumer

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        return self.inner.receive(queue, max_messages=max_messages, visibility=visibility)

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        self.settling.settle(settlements)

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return self.inner.extend(deliveries, visibility=visibility)


@dataclass(frozen=True, slots=True)
class _WatchedUnits(UnitOfWorkFactory):
    inner: UnitOfWorkFactory
    steps: Steps

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self.inner.begin(tenant_id) as unit:
            yield cast("UnitOfWork", watched("unit", unit, self.steps))


Plant = Callable[[Parts], None]
"""Puts a bug into the parts of a process."""


@dataclass(frozen=True, slots=True)
class Explored:
    """What came of dying at each step.

    Args:
        steps: of a process that nothing happens to.
        broken: by the steps whose end state is not as it must be.
    """

    steps: list[str]
    broken: dict[str, Broken]


class _Trip:
    """One process that works through all queues, one thread doing one thing after the other."""

    def __init__(self, voyage: Voyage, steps: Steps, now: datetime, plant: Plant | None = None) -> None:
        self._clock = VirtualClock(now)
        parts = Parts(voyage.place, *voyage.engines, self._clock)
        if plant is not None:
            plant(parts)
        parts.publisher = watched("publisher", parts.publisher, steps)
        parts.consumer = _SettlesInSteps(parts.consumer, watched("consumer", parts.consumer, steps))
        parts.outbox = watched("outbox", parts.outbox, steps)
        parts.files = watched("files", parts.files, steps)
        parts.units = _WatchedUnits(parts.units, steps)
        self._left = partial(waiting, *voyage.engines)
        exchange = declared(voyage.trouble)
        observer = RecordingObserver()
        use_cases = parts.use_cases(exchange, observer)
        self._relay = use_cases.relay()
        self._workers = [
            Worker(
                function=function,
                consumer=parts.consumer,
                handler=use_cases.handler(),
                clock=use_cases.clock(),
                observer=observer,
                bell=Bell(),
                heartbeat=Heartbeat(observer),
                limits=LIMITS,
                stopping=never,
            )
            for function in exchange.functions
        ]

    def work(self) -> None:
        """Go on until nothing is left, or it is clear that something will stay."""
        for _ in range(_ROUNDS):
            for worker in self._workers:
                while worker.work_once():
                    pass
            self._relay.sweep()
            if self._left() == 0:
                break
            self._clock.advance(_BETWEEN_ROUNDS)


@dataclass(frozen=True, kw_only=True)
class Voyage:
    """One workload over one place, to be gone through again and again.

    Args:
        place: where.
        workload: what is sent.
        trouble: the errors of its processors, the same each time.
        plant: puts a bug into the parts of the processes that die.
    """

    place: Place
    workload: Workload
    trouble: Trouble
    plant: Plant | None = None

    def explore(self, *, only: str = "", every: int = 1, twice: bool = False) -> Explored:
        """Die at each step, and see what the others make of it.

        Args:
            only: at the steps whose name has this in it.
            every: of these at each so many-th.
            twice: the second process dies as well, at a step of its own, and a third one finishes.
        """
        steps = self.steps()
        broken = {}
        wanted = [number for number, name in enumerate(steps, start=1) if only in name]
        for number in wanted[::every]:
            self._reset()
            if not self._die(number, START):
                raise AssertionError(f"step {number}, {steps[number - 1]!r}, was not reached again")
            if twice:
                self._die(1 + number * 7 % len(steps), START + LATER)
            _Trip(self, Steps(), START + 2 * LATER).work()
            if found := self._broken():
                broken[f"{number} {steps[number - 1]}"] = found
        return Explored(steps, broken)

    def steps(self) -> list[str]:
        """The steps of a process that nothing happens to."""
        self._reset()
        steps = Steps()
        trip = _Trip(self, steps, START, self.plant)
        with steps.watching(set(self.engines)):
            trip.work()
        if found := self._broken():
            raise AssertionError(f"already without a crash: {found}")
        return steps.names

    @cached_property
    def engines(self) -> tuple[Engine, Engine]:
        """Of the store and of the queues, with all their tables."""
        engines = engines_of(self.place)
        for engine in engines:
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _spare_the_disk)
            migrate.upgrade(engine)
        SqlTenantDirectory(engines[0]).add([TenantId(one) for one in TENANTS], now=START)
        return engines

    def _broken(self) -> Broken:
        found = AtRest(self.workload, *self.engines, self.place).findings()
        return {one.what: (one.expected, one.found) for one in found if not one.holds}

    def _die(self, number: int, now: datetime) -> bool:
        """Fork a process that dies at its step *number*, or comes to rest before; whether it died."""
        for engine in self.engines:
            engine.dispose()  # no connection is to be in two processes
        child = os.fork()
        if child == 0:
            self._work_as_child(Steps(number), now)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
            raise AssertionError(f"a process failed on its way to step {number}; it says why above")
        return os.WIFSIGNALED(status)

    def _work_as_child(self, steps: Steps, now: datetime) -> NoReturn:
        code = 1
        try:
            with steps.watching(set(self.engines)):
                _Trip(self, steps, now, self.plant).work()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)

    def _reset(self) -> None:
        """Empty everything and send the workload."""
        shutil.rmtree(self.place.folder / "output", ignore_errors=True)
        for engine in self.engines:
            with writing(engine) as connection:
                for table in metadata.sorted_tables:
                    if table is not tenants:
                        connection.execute(delete(table))
        SqlQueue(self.engines[1], VirtualClock(START)).publish(self.workload.sent)


def _spare_the_disk(connection: sqlite3.Connection, _: object) -> None:
    """A process that dies takes nothing with it that the kernel has, so nothing need be on the disk."""
    connection.execute("PRAGMA synchronous = OFF")


def explored(voyage: Voyage, *, only: str = "", every: int = 1, twice: bool = False) -> Explored:
    """What `Voyage.explore` finds, in a process of one thread that may fork, whatever the caller's has."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as pool:
        return pool.submit(voyage.explore, only=only, every=every, twice=twice).result()
