"""A million journal entries purged while messages are completed: how many meanwhile, and how long the purge holds on.

Run it alone: ``python -m benchmarks.purge``. It takes some minutes, and is no part of ``make bench``.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, event, text

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.retention_store import SqlRetentionStore
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.application.purge import PurgeExpired
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.domain.retention import Retention
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_testing.postgres import PostgresServer

_OLD = 1_000_000
_YOUNG = 100_000
_WORKERS = 2
_BEFORE = 10.0  # seconds
_COLUMNS = """(tenant_id, function, message_id, state, attempts, correlation_id, started_at, finished_at)"""
_FILL = {
    "postgresql": f"""INSERT INTO journal {_COLUMNS}
        SELECT 'customer-' || n % 10, 'to-canonical', gen_random_uuid()::text, 'completed', 1, n::text, at, at
        FROM (SELECT n, now() - CASE WHEN n <= {_OLD} THEN interval '100 days' ELSE interval '1 day' END AS at
              FROM generate_series(1, {_OLD + _YOUNG}) n) rows""",
    "sqlite": f"""WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < {_OLD + _YOUNG})
        INSERT INTO journal {_COLUMNS}
        SELECT 'customer-' || n % 10, 'to-canonical', lower(hex(randomblob(16))), 'completed', 1, n, at, at
        FROM (SELECT n, (unixepoch() - CASE WHEN n <= {_OLD} THEN 8640000 ELSE 86400 END) * 1000000 AS at FROM rows)""",
}


class Workers:
    """Threads that complete one message a commit."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine_for(url)
        self._stop = threading.Event()
        self.took: list[float] = []
        self._threads = [threading.Thread(target=self._work) for _ in range(_WORKERS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block they work."""
        for thread in self._threads:
            thread.start()
        yield
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._engine.dispose()

    def _work(self) -> None:
        units = SqlUnitOfWorkFactory(self._engine, queues_here=False)
        while not self._stop.is_set():
            began = time.perf_counter()
            now = datetime.now(UTC)
            id_ = str(uuid4())
            entry = JournalEntry(
                function=FunctionName("to-canonical"),
                message_id=MessageId(id_),
                state=ProcessingState.COMPLETED,
                attempts=1,
                correlation_id=id_,
                causation_id=None,
                entity_id=None,
                started_at=now,
                finished_at=now,
            )
            with units.begin(TenantId("customer-1")) as unit:
                unit.journal.complete([entry])
                unit.commit()
            self.took.append(time.perf_counter() - began)


def _statements(engine: Engine) -> list[float]:
    """Fills with the seconds that each statement of *engine* takes from now on."""
    took: list[float] = []
    began = threading.local()

    def before(*_: Any) -> None:
        began.at = time.perf_counter()

    def after(*given: Any) -> None:
        if not given[2].startswith("BEGIN"):  # which waits for its turn
            took.append(time.perf_counter() - began.at)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    return took


def measure(url: str) -> None:
    """Print the figures of the database at *url*."""
    engine = create_engine_for(url)
    migrate.upgrade(engine)
    with writing(engine) as connection:
        connection.execute(text(_FILL[engine.dialect.name]))
    workers = Workers(url)
    with workers.running():
        time.sleep(_BEFORE)
        before = list(workers.took)
        took = _statements(engine)
        began = time.perf_counter()
        purged = PurgeExpired(SqlRetentionStore(engine), Retention(), SystemClock(), SystemSleeper()).run(
            most=10 * _OLD
        )
        lasted = time.perf_counter() - began
        during = workers.took[len(before) :]
    print(
        f"{engine.dialect.name}: {sum(purged.removed.values()):,} rows in {lasted:.0f} s, {len(took):,} statements"
    )
    print(f"  longest statement {1000 * max(took):.0f} ms, 99 % within {1000 * _percentile(took):.1f} ms")
    for what, times, seconds in (("before", before, _BEFORE), ("meanwhile", during, lasted)):
        print(
            f"  {what}: {len(times) / seconds:,.0f} messages a second, 99 % within "
            f"{1000 * _percentile(times):.1f} ms, longest {1000 * max(times):.0f} ms"
        )
    engine.dispose()


def _percentile(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def main() -> None:
    """Measure SQLite and PostgreSQL, both with commits that wait for the disk."""
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{Path(folder) / 'purge.db'}")
    server = PostgresServer.start(durable=True)
    try:
        measure(server.create_database())
    finally:
        server.stop()


if __name__ == "__main__":
    main()
