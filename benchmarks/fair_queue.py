"""What one receive of the SQL queue costs, by how many tenants share the queue and how much they have waiting.

Receives take turns over all queues, so that the ratios hold where the machine's mood does not. What was received is
visible again at once: each receive finds the same backlog.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.names import QueueName
from api_exchange_testing.postgres import PostgresServer
from benchmarks.measuring import against, interleaved, show

SIZES = (1, 10, 100)
ROUNDS = 15
ALONE = "one tenant, 1,000 waiting"
BACKLOGS = {  # messages, tenant and ordering key of message n
    ALONE: (1_000, "'a'", "NULL"),
    "three tenants, 1,000 waiting": (1_000, "'a' || (n % 3)", "NULL"),
    "one has 100,000, another 10": (100_010, "CASE WHEN n > 10 THEN 'a' ELSE 'b' END", "NULL"),
    "1,000 tenants of 100": (100_000, "'a' || (n % 1000)", "NULL"),
    "5,000 waiting behind 7 ordering keys": (5_000, "'a'", "'k' || (n % 7)"),
}
NUMBERS = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {}) SELECT n FROM s)",
    "postgresql": "generate_series(1, {}) n",
}
NOW = {
    "sqlite": "CAST(strftime('%s', 'now') AS INTEGER) * 1000000 - 1000000",
    "postgresql": "now() - interval '1 second'",
}


def fill(engine: Engine, queue: str, backlog: str) -> None:
    """Put a backlog into *queue*."""
    messages, tenant, key = BACKLOGS[backlog]
    kind = engine.dialect.name
    numbers, now = NUMBERS[kind].format(messages), NOW[kind]
    columns = (
        "queue, tenant_id, message_id, body, ordering_key, properties, visible_at, receive_count, enqueued_at"
    )
    values = f"'{queue}', {tenant}, n, '{{}}', {key}, '{{}}', {now}, 0, {now}"
    with writing(engine) as connection:
        connection.execute(text(f"INSERT INTO queue ({columns}) SELECT {values} FROM {numbers}"))


def measure(url: str, name: str) -> None:
    """Print the reports of the database at *url*."""
    engine = create_engine_for(url)
    migrate.upgrade(engine)
    for number, backlog in enumerate(BACKLOGS):
        fill(engine, f"backlog-{number}", backlog)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE queue"))
    queue = SqlQueue(engine, SystemClock())

    def receive(number: int, size: int) -> Callable[[], object]:
        here = QueueName(f"backlog-{number}")
        return lambda: queue.receive(here, max_messages=size, visibility=timedelta(0))

    for size in SIZES:
        candidates = {backlog: receive(number, size) for number, backlog in enumerate(BACKLOGS)}
        seconds = interleaved(candidates, rounds=ROUNDS, number=3)
        show(f"A receive of {size} on {name}", against(ALONE, seconds, scale=1e3, unit="ms"))
    engine.dispose()


def main() -> None:
    """Print the report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measure(f"sqlite:///{Path(folder) / 'exchange.db'}", "SQLite")
    with PostgresServer.start(durable=True) as server:
        measure(server.create_database(), "PostgreSQL")


if __name__ == "__main__":
    main()
