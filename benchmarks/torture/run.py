"""One run of the torture, from an empty database to its findings."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_testing.postgres import PostgresServer
from benchmarks.torture.exchange import TENANTS, Trouble
from benchmarks.torture.faults import Faults, Processes
from benchmarks.torture.findings import AtRest, Finding, waiting
from benchmarks.torture.machine import Place, engines_of
from benchmarks.torture.process import work
from benchmarks.torture.tally import counted
from benchmarks.torture.workload import Workload

_FEED_AT_ONCE = 250
_LOOK_EVERY = 0.05
_ASK_EVERY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run does.

    Args:
        seed: decides the messages, the errors and the faults; the schedule of the processes is the machine's own.
        messages: how many are sent.
        workers: processes at once.
        database: "postgresql" or "sqlite".
        apart: keep the queues in a second database, so that no transaction spans both.
        every: seconds between two faults, on average.
        faults_for: seconds after which the faults end, if the work has not ended before.
        restarts: crashes of the database; PostgreSQL only.
        errors: rate of calls that fail for a reason that would pass.
        rest_within: seconds that the run may take to come to rest once the faults have ended.
        bug: the name of one to plant.
    """

    seed: int
    messages: int = 10_000
    workers: int = 4
    database: str = "postgresql"
    apart: bool = False
    every: float = 1.0
    faults_for: float = 120.0
    restarts: int = 1
    errors: float = 0.03
    rest_within: float = 120.0
    bug: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done, what happened, and what was found."""

    plan: Plan
    injected: Counter[str]
    happened: Counter[str]
    findings: list[Finding]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return all(finding.holds for finding in self.findings)

    def broken(self) -> dict[str, tuple[int, int]]:
        """What does not hold: expected and found."""
        return {one.what: (one.expected, one.found) for one in self.findings if not one.holds}


@dataclass(slots=True)
class _Feeder:
    """Sends the workload bit by bit while everything breaks, and sends again what may not have arrived."""

    queue: SqlQueue
    workload: Workload
    resent: int = 0
    _next: int = field(default=0)

    @property
    def is_done(self) -> bool:
        return self._next >= len(self.workload.sent)

    def feed(self) -> None:
        part = self.workload.sent[self._next : self._next + _FEED_AT_ONCE]
        try:
            self.queue.publish(part)
        except TransientError:
            self.resent += len(part)
        else:
            self._next += len(part)


def run(plan: Plan, folder: Path) -> Report:
    """Do as *plan* says, in an empty *folder*."""
    began = time.monotonic()
    with _databases(plan, folder) as (place, restart):
        store, queues = _prepared(place)
        workload = Workload(plan.seed, plan.messages)
        processes = Processes(partial(work, place, Trouble(plan.seed, plan.errors), plan.bug), plan.workers)
        faults = Faults(
            random.Random(plan.seed),
            processes,
            plan.every,
            plan.restarts if restart is not None else 0,
            restart or _never,
        )
        feeder = _Feeder(SqlQueue(queues, SystemClock()), workload)
        processes.start_all()
        try:
            _break_while_it_works(plan, feeder, faults, store, queues)
            died = processes.died_by_themselves()
        finally:
            processes.end_all()
        found = [
            Finding("worker processes that ended by themselves", 0, died),
            *AtRest(workload, store, queues, place).findings(),
        ]
        for engine in (store, queues):
            engine.dispose()
    happened = counted(folder)
    injected = faults.done + Counter(
        {
            "messages sent": len(workload.sent),
            "of them copies": workload.copies,
            "sent again, outcome unknown": feeder.resent,
        }
    )
    return Report(
        plan=plan, injected=injected, happened=happened, findings=found, seconds=time.monotonic() - began
    )


def _break_while_it_works(plan: Plan, feeder: _Feeder, faults: Faults, store: Engine, queues: Engine) -> None:
    """Feed and strike until all is done, or the time is up."""
    now = time.monotonic()
    peace, end, ask = now + plan.faults_for, now + plan.faults_for + plan.rest_within, now
    still = 0
    while (now := time.monotonic()) < end:
        if not feeder.is_done:
            feeder.feed()
        elif now >= ask:
            # Once is not enough: between the look at the queues and the one at the outbox a message can change sides.
            still = still + 1 if _nothing_waits(store, queues) else 0
            if still == 2:
                return
            ask = now + _ASK_EVERY
        if now < peace:
            faults.strike_if_time()
        else:
            faults.processes.wake_all()
        time.sleep(_LOOK_EVERY)


def _nothing_waits(store: Engine, queues: Engine) -> bool:
    try:
        return waiting(store, queues) == 0
    except TransientError:
        return False


@contextmanager
def _databases(plan: Plan, folder: Path) -> Iterator[tuple[Place, Callable[[], None] | None]]:
    """Where to work, and how to crash the database, where that can be done."""
    if plan.database == "sqlite":
        store = f"sqlite:///{folder}/exchange.db"
        queues = f"sqlite:///{folder}/queues.db" if plan.apart else store
        yield Place(store_url=store, queue_url=queues, folder=folder), None
        return
    # What a crash must not lose has to be on disk when it is promised.
    with PostgresServer.start(durable=True) as server:
        store = server.create_database("exchange")
        queues = server.create_database("queues") if plan.apart else store
        yield Place(store_url=store, queue_url=queues, folder=folder), server.restart


def _prepared(place: Place) -> tuple[Engine, Engine]:
    engines = engines_of(place)
    for engine in engines:
        migrate.upgrade(engine)
    SqlTenantDirectory(engines[0]).add([TenantId(one) for one in TENANTS], now=SystemClock().now())
    return engines


def _never() -> None:
    """What cannot crash does not."""
