"""A process of the application: its threads ask for a token whenever it is told to, all at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import httpx
from typing_extensions import override

from api_exchange_core import Exchange
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.application.api_token_service import ApiTokenService
from api_exchange_core.application.services import Services
from api_exchange_core.application.token_plan import CallableGrant
from api_exchange_core.domain.errors import ExchangeError
from api_exchange_core.domain.tenant import tenant_context
from api_exchange_core.domain.token_answer import TokenAnswer, read_answer
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.token_store import TokenStore
from api_exchange_testing import RecordingObserver, in_memory_container

TENANT: Final = "customer-a"
API: Final = "shop"
TIMEOUT: Final = timedelta(seconds=1)
"""Of the exchange; the lease is five seconds longer."""


Got = tuple[float, float, str, str]
"""What one thread got: since when, at what time, which token, and which error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the threads of a process got, and how many of its tokens the store has refused until now."""

    got: Sequence[Got]
    late: int


@dataclass(frozen=True, slots=True)
class WrongClock(Clock):
    """The clock of a machine that is wrong."""

    by: timedelta

    @override
    def now(self) -> datetime:
        return SystemClock().now() + self.by


def ask(url: str, scope: str, worker: int) -> TokenAnswer:
    """One exchange, which does not notice how long this process stood still."""
    return read_answer(httpx.post(url, data={"scope": scope, "worker": str(worker)}, timeout=30).content)


def main(orders: Connection, database: str, url: str, worker: int, skew: float, threads: int) -> None:
    """Ask for each scope that comes through *orders*, and answer with what each thread got."""
    observer = RecordingObserver()
    services = services_over(
        SqlTokenStore(create_engine_for(database)), WrongClock(timedelta(seconds=skew)), observer
    )
    orders.send("ready")
    with ThreadPoolExecutor(threads) as pool:
        while True:
            scope = orders.recv()
            service = ApiTokenService(
                API, CallableGrant(partial(ask, url, scope, worker), TIMEOUT), scope=scope
            )
            start = threading.Barrier(threads)
            got = list(pool.map(lambda _, own=service, at=start: one(services, own, at), range(threads)))
            late = sum(event.name == "token.late" for event in observer.events)
            orders.send(Answer(got, late))


def services_over(store: TokenStore, clock: Clock, observer: RecordingObserver) -> Services:
    """What an instance offers whose tokens are kept in *store*, and whose time is real."""
    container = in_memory_container(Exchange("tokens", tenants=[TENANT]), observer=observer)
    container.override_providers(
        token_store=store, clock=clock, sleeper=SystemSleeper(), randomness=SystemRandomness()
    )
    services: Services = container.use_cases().services()
    return services


def one(services: Services, service: ApiTokenService, start: threading.Barrier) -> Got:
    """What one thread got."""
    with services.at_work(), tenant_context(TENANT):
        start.wait()
        began = time.time()
        try:
            token, _ = service.get_valid_token()
        except ExchangeError as error:
            return began, time.time(), "", str(error)
        return began, time.time(), token, ""
