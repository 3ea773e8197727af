"""Messages a second from queue to queue through the framework, beside the same flush issued raw.

One worker in one thread receives, decodes, calls, hashes, writes and acknowledges. Each message persists one new
entity and sends one message on. The reference is `sql_flush`'s raw flush alone, in batches of the same size:
statements only, without receiving, JSON, hashing or a processor. Both databases sync to disk at each commit.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import cast

import psycopg
from pydantic import SecretStr
from sqlalchemy import make_url

from api_exchange_core import Exchange
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_core.local.worker import Worker, WorkerLimits
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Observer
from api_exchange_testing.postgres import PostgresServer
from benchmarks.handler import Keep, Nothing, delivery
from benchmarks.measuring import Row, rates, show, taking_turns
from benchmarks.sql_flush import Flush, batch_of, raw_postgres, raw_sqlite

MESSAGES = 400
ROUNDS = 7
BATCHES = (1, 10, 100)
TENANT = TenantId("customer-a")
QUEUE = QueueName("orders")

numbers = count()


def measure(url: str, raw: Flush) -> list[Row]:
    """Messages a second on the database at *url*; ratios to *raw*, its raw flush, in batches of the same size."""
    container = container_over(url)

    def raw_work(size: int) -> Callable[[], Callable[[], object]]:
        def prepare() -> Callable[[], object]:
            batches = [batch_of(size, container.queue()) for _ in range(MESSAGES // size)]
            return lambda: deque(map(raw, batches), maxlen=0)

        return prepare

    rows: list[Row] = []
    for size in BATCHES:
        reference = f"raw flush alone, batches of {size}"
        candidates = {
            reference: raw_work(size),
            f"framework, batches of {size}": framework_work(container, size),
        }
        rows += rates(reference, taking_turns(candidates, rounds=ROUNDS), messages=MESSAGES)
    container.engine().dispose()
    return rows


def container_over(url: str) -> LocalContainer:
    """The benchmark's exchange on the database at *url*, without logs."""
    exchange = Exchange("benchmark", tenants=[TENANT])
    exchange.queue("keep", QUEUE, Keep)
    quiet = cast("Observer", Nothing())
    return prepared_container(exchange, LocalSettings(database_url=SecretStr(url)), observer=quiet)


def framework_work(container: LocalContainer, batch: int) -> Callable[[], Callable[[], None]]:
    """Fills the queue, which is not measured, and gives what works it off."""
    worker = Worker(
        function=container.exchange().function("keep"),
        consumer=container.queue(),
        handler=container.use_cases.handler(),
        clock=container.clock(),
        observer=container.observer(),
        bell=Bell(),
        limits=WorkerLimits(batch=batch, patience=timedelta(minutes=5)),
        heartbeat=Heartbeat(container.observer()),
        stopping=lambda: False,
    )

    def fill() -> Callable[[], None]:
        container.queue().publish([outgoing(next(numbers)) for _ in range(MESSAGES)])
        return work_off

    def work_off() -> None:
        handled = 0
        while received := worker.work_once():
            handled += received
        assert handled == MESSAGES, f"{handled} of {MESSAGES} messages were handled"

    return fill


def outgoing(number: int) -> Outgoing:
    """A message of the benchmark on its way."""
    body = delivery(number).body
    return Outgoing(queue=QUEUE, tenant_id=TENANT, message_id=MessageId(f"message-{number}"), body=body)


@contextmanager
def sqlite() -> Iterator[tuple[str, Flush]]:
    """An SQLite file with the benchmark's settings, and the raw flush on it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "exchange.db"
        url = f"sqlite:///{file}"
        container_over(url).engine().dispose()
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")
        yield url, raw_sqlite(connection)
        connection.close()


@contextmanager
def postgres() -> Iterator[tuple[str, Flush]]:
    """A PostgreSQL that syncs to disk, and the raw flush on it."""
    with PostgresServer.start(durable=True) as server:
        url = server.create_database()
        container_over(url).engine().dispose()
        where = make_url(url).set(drivername="postgresql").render_as_string()
        # Unprepared, as the framework's: a plan that was made for one row would be kept for a hundred.
        with psycopg.connect(where, prepare_threshold=None) as connection:
            yield url, raw_postgres(connection)


def main() -> None:
    """Print the report."""
    for name, database in (("SQLite", sqlite), ("PostgreSQL", postgres)):
        with database() as (url, raw):
            show(f"Queue to queue on {name}, one worker", measure(url, raw))


if __name__ == "__main__":
    main()
