"""Runs the processes, and does to them what happens to processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Final

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.application.token_plan import STORING
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import NOTHING, NewToken, Takeover
from benchmarks.tokens.process import API, TENANT, TIMEOUT, Answer, main
from benchmarks.tokens.vendor import Hit, Vendor

LEASE: Final = (TIMEOUT + STORING).total_seconds()
_PATIENCE: Final = 60.0
_PROCESSES: Final = get_context("forkserver")
_SKEWS: Final = (0.0, 30.0, -30.0)


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one scope.

    Args:
        hits: what the vendor issued, in order.
        tokens: what the threads got.
        errors: what they were told instead.
        waits: seconds that each waited beyond the vendor's last answer, in order.
        generations: how many tokens the store took.
        late: how many it refused.
        leader: who asked first.
    """

    hits: Sequence[Hit]
    tokens: Sequence[str]
    errors: Sequence[str]
    waits: Sequence[float]
    generations: int
    late: int
    leader: int

    def wait(self, share: float) -> float:
        """The wait that *share* of the threads did not exceed, in seconds."""
        return self.waits[min(int(len(self.waits) * share), len(self.waits) - 1)]


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that has been started, and the pipe to it."""

    process: ForkServerProcess
    pipe: Connection

    def answer(self) -> Answer:
        """What it says next."""
        answer = self.pipe.recv()
        assert isinstance(answer, Answer)
        return answer

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()


class Deployment:
    """Processes over one database.

    Args:
        database: the URL of a migrated one.
        vendor: whom they ask.
        threads: of each.
    """

    def __init__(self, database: str, vendor: Vendor, *, threads: int) -> None:
        self._database, self._vendor, self._threads = database, vendor, threads
        self._workers: dict[int, Worker] = {}
        self._engine = create_engine_for(database)
        self._store = SqlTokenStore(self._engine)

    def start(self, processes: int) -> None:
        """Start them; their clocks are right, half a minute ahead, or half a minute behind."""
        _PROCESSES.set_forkserver_preload(
            ["benchmarks.tokens.process"]
        )  # imported once, and not by each of them
        for number in range(processes):
            here, there = _PROCESSES.Pipe()
            words = (self._database, self._vendor.url, number, _SKEWS[number % len(_SKEWS)], self._threads)
            process = _PROCESSES.Process(target=main, args=(there, *words), daemon=True)
            process.start()
            there.close()
            self._workers[number] = Worker(process, here)
        for worker in self._workers.values():
            assert worker.pipe.recv() == "ready"

    def stop(self) -> None:
        """End them."""
        for worker in self._workers.values():
            worker.kill()
        self._engine.dispose()

    def at_once(self, scope: str) -> Round:
        """All threads ask for a token that has just expired."""
        self._tell(scope)
        return self._round(scope, self._vendor.first_asker(scope, within=_PATIENCE))

    def leader_killed(self, scope: str) -> Round:
        """The process that asks the vendor is killed before it has the answer."""
        self._tell(scope)
        leader = self._vendor.first_asker(scope, within=_PATIENCE)
        self._workers.pop(leader).kill()
        return self._round(scope, leader)

    def leader_paused(self, scope: str) -> Round:
        """The process that asks the vendor stands still until another one has stored a token."""
        self._tell(scope)
        leader = self._vendor.first_asker(scope, within=_PATIENCE)
        paused = self._workers.pop(leader)
        assert paused.process.pid is not None
        os.kill(paused.process.pid, signal.SIGSTOP)
        try:
            others = [worker.answer() for worker in self._workers.values()]
        finally:
            os.kill(paused.process.pid, signal.SIGCONT)
            self._workers[leader] = paused
        return self._result(scope, leader, [*others, paused.answer()])

    def _tell(self, scope: str) -> None:
        key = TokenKey(TenantId(TENANT), API, scope)
        lease = self._store.claim(
            key, slot=0, seen=None, owner=f"before {scope}", lease=timedelta(minutes=1), takeover=Takeover()
        )
        assert lease is not None
        expired = NewToken(
            token_id=TokenId("expired"),
            sealed=SealedText("ZXhwaXJlZA=="),
            refresh=None,
            expires_in=-timedelta(seconds=1),
            lifetime=timedelta(hours=1),
            live_for=NOTHING,
        )
        assert self._store.store(lease, expired)
        for worker in self._workers.values():
            worker.pipe.send(scope)

    def _round(self, scope: str, leader: int) -> Round:
        return self._result(scope, leader, [worker.answer() for worker in self._workers.values()])

    def _result(self, scope: str, leader: int, answers: Sequence[Answer]) -> Round:
        got = [one for answer in answers for one in answer.got]
        hits = self._vendor.hits_of(scope)
        answered_at = max(hit.answered_at for hit in hits)
        waits = sorted(end - max(began, answered_at) for began, end, token, _ in got if token)
        state = self._store.read(TokenKey(TenantId(TENANT), API, scope))[0]
        return Round(
            hits=hits,
            tokens=[token for _, _, token, _ in got if token],
            errors=[error for _, _, _, error in got if error],
            waits=waits,
            generations=state.generation - 1,
            late=sum(answer.late for answer in answers),
            leader=leader,
        )


@contextmanager
def deployment(database: str, *, processes: int, threads: int, takes: float) -> Iterator[Deployment]:
    """Processes at work on the database at this URL, with a vendor that thinks for *takes* seconds."""
    engine = create_engine_for(database)
    migrate.upgrade(engine)
    engine.dispose()
    with Vendor(takes=takes) as vendor:
        started = Deployment(database, vendor, threads=threads)
        try:
            started.start(processes)
            yield started
        finally:
            started.stop()
