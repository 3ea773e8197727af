"""What a flush costs through the SQL unit of work, beside the same statements issued raw.

Each message of a batch creates one entity, sends one message, and is acknowledged, in one transaction that is synced
to disk. Both ways take turns on one database, so that the ratio holds where the machine's mood does not.
"""

from __future__ import annotations

import sqlite3
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import orjson
import psycopg
from sqlalchemy import Engine, make_url

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.postgres import PostgresServer
from benchmarks.measuring import Row, rates, show, taking_turns

SIZES = (1, 10, 100)
ROUNDS = 40
TENANT = TenantId("customer-a")
FUNCTION = FunctionName("to-canonical")
INPUT, OUTPUT = QueueName("orders-fetched"), QueueName("orders-canonical")
BODY = b'{"order":"' + b"x" * 500 + b'"}'
HASH = "sha256:jcs1:" + "0" * 64
FIELDS = dict.fromkeys(("id", "lines", "customer", "total", "currency"), "0" * 16)

numbers = count()


@dataclass(frozen=True)
class Batch:
    """What one flush writes."""

    entries: Sequence[JournalEntry]
    heads: Sequence[HeadWrite]
    versions: Sequence[EntityVersion]
    outputs: Sequence[Outgoing]
    deliveries: Sequence[Delivery]
    now: datetime


Flush = Callable[[Batch], None]


def batch_of(size: int, queue: SqlQueue) -> Batch:
    """A batch of new messages, received and processed."""
    now = datetime.now(UTC)
    ids = [MessageId(f"message-{next(numbers)}") for _ in range(size)]
    queue.publish([Outgoing(queue=INPUT, tenant_id=TENANT, message_id=id_, body=BODY) for id_ in ids])
    heads = []
    for id_ in ids:
        key = EntityKey(TENANT, "canonical_order", "transformer", id_)
        heads.append(EntityHead(key, key.id, 1, HASH, None, now))
    return Batch(
        entries=[
            JournalEntry(
                function=FUNCTION,
                message_id=id_,
                state=ProcessingState.COMPLETED,
                attempts=1,
                correlation_id=id_,
                causation_id=id_,
                entity_id=EntityKey(TENANT, "customer_order", "shop", id_).id,
                started_at=now,
                finished_at=now,
                operation="transform.canonical",
                waited=timedelta(milliseconds=20),
                took=timedelta(milliseconds=1),
            )
            for id_ in ids
        ],
        heads=[HeadWrite(head, 0) for head in heads],
        versions=[
            EntityVersion(head.id, 1, HASH, FIELDS, MessageId("m"), "c", "transform", now) for head in heads
        ],
        outputs=[Outgoing(queue=OUTPUT, tenant_id=TENANT, message_id=id_, body=BODY) for id_ in ids],
        deliveries=queue.receive(INPUT, max_messages=size, visibility=timedelta(minutes=5)),
        now=now,
    )


def through_the_unit_of_work(engine: Engine) -> Flush:
    """The framework's way."""
    units = SqlUnitOfWorkFactory(engine, queues_here=True)

    def flush(batch: Batch) -> None:
        with units.begin(TENANT) as unit:
            assert len(unit.journal.complete(batch.entries)) == len(batch.entries)
            unit.entities.heads([write.head.id for write in batch.heads])
            unit.entities.write(batch.heads, batch.versions)
            unit.outbox.add(batch.outputs, now=batch.now)
            unit.acknowledge(batch.deliveries)
            unit.commit()

    return flush


def raw_sqlite(connection: sqlite3.Connection) -> Flush:
    """The same statements through sqlite3 alone."""
    execute, executemany = connection.execute, connection.executemany

    def flush(batch: Batch) -> None:
        now = int(batch.now.timestamp() * 1_000_000)
        execute("BEGIN IMMEDIATE")
        executemany(
            "INSERT INTO journal (tenant_id, function, message_id, correlation_id, causation_id, entity_id, "
            "started_at, finished_at, state, attempts, operation, waited, took) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'completed', 1, 'transform', 20000, 1000) "
            "ON CONFLICT DO UPDATE SET state = excluded.state WHERE state != 'completed'",
            [
                (
                    TENANT,
                    FUNCTION,
                    one.message_id,
                    one.correlation_id,
                    one.causation_id,
                    one.entity_id,
                    now,
                    now,
                )
                for one in batch.entries
            ],
        )
        ids = orjson.dumps([write.head.id for write in batch.heads]).decode()
        found = "SELECT * FROM entities WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?))"
        execute(found, (TENANT, ids)).fetchall()
        executemany(
            "INSERT INTO entities VALUES (?, ?, 'canonical_order', 'transformer', ?, 1, ?, NULL, ?, ?) "
            "ON CONFLICT DO NOTHING",
            [(TENANT, one.head.id, one.head.key.external_id, HASH, now, now) for one in batch.heads],
        )
        executemany(
            "INSERT INTO entity_versions VALUES (?, ?, 1, ?, ?, 'm', 'c', 'transform', ?) ON CONFLICT DO NOTHING",
            [(TENANT, one.entity_id, HASH, orjson.dumps(FIELDS).decode(), now) for one in batch.versions],
        )
        executemany(
            "INSERT INTO queue (queue, tenant_id, message_id, body, ordering_key, properties, visible_at, "
            "receive_count, enqueued_at) VALUES (?, ?, ?, ?, NULL, '{}', ?, 0, ?)",
            [(OUTPUT, TENANT, one.message_id, one.body, now, now) for one in batch.outputs],
        )
        executemany(
            "DELETE FROM queue WHERE id = ? AND receipt = ?",
            [one.receipt.split(":") for one in batch.deliveries],
        )
        execute("COMMIT")

    return flush


RAW_POSTGRES = (
    """INSERT INTO journal SELECT r.* FROM json_populate_recordset(null::journal, %s) r
       ON CONFLICT (tenant_id, function, message_id) DO UPDATE SET state = excluded.state
       WHERE journal.state <> 'completed' RETURNING message_id""",
    "SELECT * FROM entities WHERE tenant_id = 'customer-a' AND id IN (SELECT json_array_elements_text(%s))",
    "INSERT INTO entities SELECT r.* FROM json_populate_recordset(null::entities, %s) r ON CONFLICT DO NOTHING",
    """INSERT INTO entity_versions SELECT r.* FROM json_populate_recordset(null::entity_versions, %s) r
       ON CONFLICT DO NOTHING""",
    """INSERT INTO queue (queue, tenant_id, message_id, body, properties, visible_at, receive_count, enqueued_at)
       SELECT queue, tenant_id, message_id, decode(body, 'base64'), '{}', now, 0, now
       FROM json_to_recordset(%s) r(queue text, tenant_id text, message_id text, body text, now timestamptz)""",
    "DELETE FROM queue USING json_to_recordset(%s) r(id bigint, token text) WHERE queue.id = r.id AND receipt = token",
)


def raw_postgres(connection: psycopg.Connection) -> Flush:
    """The same statements through psycopg alone."""

    def flush(batch: Batch) -> None:
        times = {"created_at": batch.now, "updated_at": batch.now}
        journal = {"tenant_id": TENANT, "function": FUNCTION, "state": "completed", "attempts": 1}
        journal |= {"started_at": batch.now, "finished_at": batch.now, "operation": "transform"}
        journal |= {"waited": 20_000, "took": 1_000, "fence": 0}
        entity = {
            "tenant_id": TENANT,
            "canonical_type": "canonical_order",
            "source": "transformer",
            "version": 1,
        }
        version = {
            "tenant_id": TENANT,
            "version": 1,
            "message_id": "m",
            "correlation_id": "c",
            "operation": "o",
        }
        parameters = (
            [
                journal
                | {
                    "message_id": e.message_id,
                    "correlation_id": e.correlation_id,
                    "causation_id": e.causation_id,
                    "entity_id": e.entity_id,
                }
                for e in batch.entries
            ],
            [write.head.id for write in batch.heads],
            [
                entity
                | times
                | {"id": write.head.id, "external_id": write.head.key.external_id, "content_hash": HASH}
                for write in batch.heads
            ],
            [
                version | times | {"entity_id": one.entity_id, "content_hash": HASH, "field_hashes": FIELDS}
                for one in batch.versions
            ],
            [
                {"queue": OUTPUT, "tenant_id": TENANT, "message_id": one.message_id, "now": batch.now}
                | {"body": b64encode(one.body).decode()}
                for one in batch.outputs
            ],
            [dict(zip(("id", "token"), one.receipt.split(":"), strict=True)) for one in batch.deliveries],
        )
        for statement, rows in zip(RAW_POSTGRES, parameters, strict=True):
            cursor = connection.execute(statement, (orjson.dumps(rows).decode(),))
            if cursor.description is not None:
                cursor.fetchall()
        connection.commit()

    return flush


def measure(engine: Engine, raw: Flush, *, size: int) -> list[Row]:
    """Messages a second in batches of *size*; ratios to *raw*."""
    queue = SqlQueue(engine, SystemClock())

    def prepared(flush: Flush) -> Callable[[], Callable[[], None]]:
        def prepare() -> Callable[[], None]:
            batch = batch_of(size, queue)
            return lambda: flush(batch)

        return prepare

    reference = f"raw, batches of {size}"
    candidates = {
        reference: prepared(raw),
        f"unit of work, batches of {size}": prepared(through_the_unit_of_work(engine)),
    }
    return rates(reference, taking_turns(candidates, rounds=ROUNDS), messages=size)


@contextmanager
def sqlite() -> Iterator[tuple[Engine, Flush]]:
    """A migrated SQLite file, and the raw flush on it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        engine = create_engine_for(f"sqlite:///{folder}/exchange.db")
        migrate.upgrade(engine)
        connection = sqlite3.connect(f"{folder}/exchange.db", isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        yield engine, raw_sqlite(connection)
        connection.close()
        engine.dispose()


@contextmanager
def postgres() -> Iterator[tuple[Engine, Flush]]:
    """A migrated PostgreSQL that syncs to disk, and the raw flush on it."""
    with PostgresServer.start(durable=True) as server:
        url = server.create_database()
        engine = create_engine_for(url)
        migrate.upgrade(engine)
        plain = make_url(url).set(drivername="postgresql").render_as_string()
        with psycopg.connect(plain, prepare_threshold=None) as connection:
            yield engine, raw_postgres(connection)
        engine.dispose()


def main() -> None:
    """Print the report."""
    for name, database in (("SQLite", sqlite), ("PostgreSQL", postgres)):
        with database() as (engine, raw):
            rows = [row for size in SIZES for row in measure(engine, raw, size=size)]
            show(f"Flush on {name}: entity, version, journal, output and acknowledgement in one commit", rows)


if __name__ == "__main__":
    main()
