# ruff: noqa: PT012 - what fails is the last of several steps, or any of them

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text
from typing_extensions import override

from api_exchange_core.adapters.sql.engine import create_engine_for, reading, writing
from api_exchange_core.adapters.sql.migrate import upgrade
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.schema import metadata
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWork, SqlUnitOfWorkFactory
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.errors import LostRaceError, TransientError
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine

TENANT = TenantId("customer-a")
FUNCTION = FunctionName("to-canonical")
INPUT, OUTPUT = QueueName("orders-fetched"), QueueName("orders-canonical")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VISIBILITY = timedelta(minutes=5)


class StoppedClock(Clock):
    def __init__(self, time: datetime = NOW) -> None:
        self.time = time

    @override
    def now(self) -> datetime:
        return self.time


def outgoing(name: str, queue: QueueName = INPUT) -> Outgoing:
    return Outgoing(queue=queue, tenant_id=TENANT, message_id=MessageId(name), body=name.encode())


def entry(name: str) -> JournalEntry:
    return JournalEntry(
        function=FUNCTION,
        message_id=MessageId(name),
        state=ProcessingState.COMPLETED,
        attempts=1,
        correlation_id=name,
        causation_id=None,
        entity_id=None,
        started_at=NOW,
        finished_at=NOW,
    )


def head(name: str, version: int = 1) -> EntityHead:
    key = EntityKey(TENANT, "order", "shop", name)
    return EntityHead(key, key.id, version, f"sha256:jcs1:{version}", None, NOW)


def version_of(one: EntityHead) -> EntityVersion:
    return EntityVersion(one.id, one.version, one.content_hash, {"total": "00"}, None, None, None, NOW)


def flush(unit: SqlUnitOfWork, deliveries: Sequence[Delivery]) -> None:
    """What the application writes for a batch, each entity being new or getting its next version."""
    names = [delivery.body.decode() for delivery in deliveries]
    unit.journal.complete([entry(name) for name in names])
    known = unit.entities.heads([head(name).id for name in names])
    new = [head(name, 2 if head(name).id in known else 1) for name in names]
    unit.entities.write([HeadWrite(one, one.version - 1) for one in new], [version_of(one) for one in new])
    effects: list[Outgoing | OutgoingLine] = [outgoing(name, OUTPUT) for name in names]
    effects += [OutgoingLine(tenant_id=TENANT, name="out.jsonl", line=b"{}") for _ in names]
    unit.outbox.add(effects, now=NOW)
    unit.acknowledge(deliveries)


STATEMENTS_OF_A_FLUSH = 8
"""Journal; heads read, made, and replaced; versions; messages sent; lines noted; deliveries acknowledged."""


def received(engine: Engine, names: Sequence[str]) -> Sequence[Delivery]:
    """Deliveries of *names*, of which every other one has an entity already."""
    queue, units = SqlQueue(engine, StoppedClock()), SqlUnitOfWorkFactory(engine, queues_here=True)
    with units.begin(TENANT) as unit:
        heads = [head(name) for name in names[::2]]
        unit.entities.write([HeadWrite(one, 0) for one in heads], [version_of(one) for one in heads])
        unit.commit()
    queue.publish([outgoing(name) for name in names])
    return queue.receive(INPUT, max_messages=len(names), visibility=VISIBILITY)


def rows(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All that is stored."""
    with reading(engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=str)
            for table in metadata.sorted_tables
        }


def test_a_flush_is_the_same_few_statements_for_two_messages_and_for_a_hundred(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    for size in (2, 100):
        deliveries = received(engine, [f"{size}-{number}" for number in range(size)])
        statements: list[str] = []

        def note(*call: Any, seen: list[str] = statements) -> None:
            seen.append(call[2])

        event.listen(engine, "before_cursor_execute", note)
        with units.begin(TENANT) as unit:
            flush(unit, deliveries)
            unit.commit()
        event.remove(engine, "before_cursor_execute", note)
        assert len([one for one in statements if not one.startswith("BEGIN")]) == STATEMENTS_OF_A_FLUSH


class Died(BaseException):
    """Nobody catches it, as nobody survives SIGKILL."""


@pytest.mark.parametrize("after", range(STATEMENTS_OF_A_FLUSH + 1))
def test_wherever_a_flush_dies_nothing_of_it_is_left_and_the_messages_come_back(
    engine: Engine, after: int
) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    deliveries = received(engine, ["m-1", "m-2", "m-3"])
    before = rows(engine)
    steps = count()

    def die(*call: Any) -> None:
        if not call[2].startswith("BEGIN") and next(steps) == after:
            raise Died

    event.listen(engine, "before_cursor_execute", die)
    with pytest.raises(Died), units.begin(TENANT) as unit:
        flush(unit, deliveries)
        raise Died
    event.remove(engine, "before_cursor_execute", die)
    assert rows(engine) == before
    clock = StoppedClock(NOW + VISIBILITY)
    again = SqlQueue(engine, clock).receive(INPUT, max_messages=9, visibility=VISIBILITY)
    assert [one.body for one in again] == [b"m-1", b"m-2", b"m-3"]
    with units.begin(TENANT) as unit:
        flush(unit, again)
        unit.commit()
    assert SqlQueue(engine, clock).depths() == {OUTPUT: 3}


def test_a_connection_that_dies_before_the_commit_says_so_and_nothing_was_written(postgres_url: str) -> None:
    engine, killer = create_engine_for(postgres_url), create_engine_for(postgres_url)
    upgrade(engine)
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    deliveries = received(engine, ["m-1"])
    before = rows(engine)
    with pytest.raises(TransientError), units.begin(TENANT) as unit:
        flush(unit, deliveries)
        with killer.connect() as connection:
            others = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            )
            connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))
        unit.commit()
    assert rows(engine) == before
    engine.dispose()
    killer.dispose()


def test_eight_writers_of_one_entity_make_versions_without_gaps(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    rounds = 10

    def write_next() -> None:
        with units.begin(TENANT) as unit:
            current = unit.entities.heads([head("contended").id]).get(head("contended").id)
            version = 1 if current is None else current.version + 1
            new = head("contended", version)
            unit.entities.write([HeadWrite(new, version - 1)], [version_of(new)])
            unit.commit()

    def write(_: int) -> int:
        lost = 0
        for _ in range(rounds):
            while True:
                try:
                    write_next()
                    break
                except LostRaceError:
                    lost += 1
        return lost

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    with units.begin(TENANT) as unit:
        assert [one.version for one in unit.entities.versions(head("contended").id)] == list(range(1, 81))
        assert unit.entities.heads([head("contended").id])[head("contended").id].version == 80


def test_a_head_is_written_over_the_version_that_was_read_and_no_other(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(head("m"), 0)], [])
        unit.commit()
    for replaced in (0, 2, 7):
        with pytest.raises(LostRaceError), units.begin(TENANT) as unit:
            unit.entities.write([HeadWrite(head("m", 8), replaced)], [])
    with units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(head("m", 8), 1)], [])
        assert unit.entities.heads([head("m").id])[head("m").id].version == 8


def test_of_eight_that_complete_one_message_one_does(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=False)
    together = Barrier(8)

    def complete(_: int) -> bool:
        together.wait()
        with units.begin(TENANT) as unit:
            first = bool(unit.journal.complete([entry("m")]))
            unit.commit()
        return first

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(complete, range(8))) == [False] * 7 + [True]


def test_a_locked_head_stays_as_it_is_until_the_unit_of_work_ends(postgres_url: str) -> None:
    engine = create_engine_for(postgres_url)
    upgrade(engine)
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(head("m"), 0)], [version_of(head("m"))])
        unit.commit()
    with units.begin(TENANT) as unit:
        unit.entities.heads([head("m").id], lock=True)
        with pytest.raises(TransientError), writing(engine) as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10ms'"))
            connection.execute(text("UPDATE entities SET version = 7"))
        unit.entities.write([HeadWrite(head("m", 2), 1)], [version_of(head("m", 2))])
        unit.commit()
    engine.dispose()
