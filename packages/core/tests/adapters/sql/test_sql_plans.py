"""That PostgreSQL answers the hot statements from indexes, before and after it has analysed the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.migrate import upgrade
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.delivery import Complete, Retry, Settlement
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.journal import Claim, JournalEntry, ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing

TENANT = TenantId("customer-a")
QUEUE = QueueName("orders")
FUNCTION = FunctionName("to-canonical")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MANY = 20_000
FILL = (
    """INSERT INTO entities SELECT 'customer-a', md5(n::text), 'order', 'shop', n::text, 1, 'h' || n, NULL, now(), now()
       FROM generate_series(1, {many}) n""",
    """INSERT INTO entity_versions SELECT 'customer-a', md5(n::text), 1, 'h', '{{}}', NULL, NULL, NULL, now()
       FROM generate_series(1, {many}) n""",
    """INSERT INTO journal SELECT 'customer-a', 'to-canonical', md5(n::text), 'completed', 1, md5(n::text), NULL, NULL,
       now(), now(), NULL FROM generate_series(1, {many}) n""",
    """INSERT INTO queue (queue, tenant_id, message_id, body, ordering_key, properties, visible_at, receive_count,
       enqueued_at) SELECT 'orders', 'customer-a', n::text, 'x', CASE WHEN n %% 2 = 0 THEN n::text END, '{{}}',
       now(), 0, now() FROM generate_series(1, {many}) n""",
    """INSERT INTO outbox (tenant_id, kind, name, message_id, body, delay, ordering_key, properties, created_at, due_at)
       SELECT 'customer-a', 'queue', 'orders', n::text, 'x', 0, CASE WHEN n %% 2 = 0 THEN n::text END, '{{}}', now(),
       now() FROM generate_series(1, {many}) n""",
)
TABLES = ("entities", "entity_versions", "journal", "queue", "outbox")


@pytest.fixture(params=["never analysed", "analysed"])
def full(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database with many rows."""
    engine = create_engine_for(postgres_url)
    upgrade(engine)
    with writing(engine) as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        for statement in FILL:
            connection.exec_driver_sql(statement.format(many=MANY))
        if request.param == "analysed":
            connection.exec_driver_sql("ANALYZE")
    yield engine
    engine.dispose()


class Explained:
    """The plans of all statements that an engine runs."""

    def __init__(self, engine: Engine) -> None:
        self.plans: list[str] = []
        # Afterwards, when a tenant's transaction has begun: its policies are part of the plan.
        event.listen(engine, "after_cursor_execute", self._explain)

    def _explain(self, _: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            lines = cursor.connection.execute(f"EXPLAIN {statement}", parameters).fetchall()
            self.plans.append("\n".join([statement, *(line for (line,) in lines)]))

    @property
    def scans(self) -> list[str]:
        """The plans that read a whole table."""
        return [plan for plan in self.plans if any(f"Seq Scan on {table}" in plan for table in TABLES)]


def head(number: int, version: int) -> EntityHead:
    key = EntityKey(TENANT, "order", "shop", str(number))
    return EntityHead(key, key.id, version, "h", None, NOW)


def test_a_flush_reads_no_table_from_end_to_end(full: Engine) -> None:
    queue, units = SqlQueue(full, SystemClock()), SqlUnitOfWorkFactory(full, queues_here=True)
    explained = Explained(full)
    deliveries = queue.receive(QUEUE, max_messages=10, visibility=timedelta(minutes=1))
    assert len(deliveries) == 10
    old = [head(number, 1) for number in range(10)]
    with units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(one, 0) for one in old], [])
        unit.journal.completed(FUNCTION, [MessageId(str(number)) for number in range(10)])
        unit.journal.complete([_entry(number) for number in range(10)])
        assert len(unit.entities.heads([one.id for one in old])) == 10
        assert len(unit.entities.heads([one.id for one in old], lock=True)) == 10
        new = [head(number, 2) for number in range(10)]
        versions = [EntityVersion(one.id, 2, "h", {}, None, None, None, NOW) for one in new]
        unit.entities.write([HeadWrite(one, 1) for one in new], versions)
        unit.outbox.add([_outgoing()], now=NOW)
        unit.acknowledge(deliveries)
        unit.journal.trace("c")
        unit.entities.versions(new[0].id)
        unit.commit()
    assert len(explained.plans) == 13
    assert explained.scans == []
    assert "current_setting" in "\n".join(explained.plans), "planned without the policies"


def test_claims_read_no_table_from_end_to_end(full: Engine) -> None:
    units = SqlUnitOfWorkFactory(full, queues_here=True)
    explained = Explained(full)
    until = NOW + timedelta(minutes=5)
    running = [
        replace(_entry(number), state=ProcessingState.RUNNING, leased_until=until) for number in range(10)
    ]
    for on_lost in (OnLost.RERUN, OnLost.HOLD):
        with units.begin(TENANT) as unit:
            unit.journal.claim(running, on_lost=on_lost)
            unit.commit()
    claims = [Claim(FUNCTION, one.message_id, 1) for one in running]
    with units.begin(TENANT) as unit:
        assert unit.journal.renew(claims, until=until) == set()
        unit.journal.fail([replace(running[0], state=ProcessingState.RETRYING, fence=1)])
        unit.journal.complete([replace(_entry(number), fence=1) for number in range(1, 10)])
        unit.journal.release(FUNCTION, [running[0].message_id])
        unit.commit()
    assert len(explained.plans) == 9
    assert explained.scans == []


@pytest.mark.parametrize("tenants", [2, 50, 5_000])
def test_a_receive_from_many_tenants_reads_no_table_from_end_to_end_and_sorts_nothing(
    full: Engine, tenants: int
) -> None:
    with writing(full) as connection:
        connection.exec_driver_sql(f"UPDATE queue SET tenant_id = 'customer-' || (id %% {tenants})")
    queue = SqlQueue(full, SystemClock())
    explained = Explained(full)
    deliveries = queue.receive(QUEUE, max_messages=10, visibility=timedelta(minutes=1))
    assert len(deliveries) == 10
    assert len(explained.plans) == 2
    assert explained.scans == []
    assert [plan for plan in explained.plans if "Sort" in plan] == []


def test_settling_reads_no_table_from_end_to_end(full: Engine) -> None:
    queue = SqlQueue(full, SystemClock())
    explained = Explained(full)
    deliveries = queue.receive(QUEUE, max_messages=10, visibility=timedelta(minutes=1))
    queue.extend(deliveries, visibility=timedelta(minutes=2))
    queue.settle([Settlement(one, Complete()) for one in deliveries[:5]])
    queue.settle([Settlement(one, Retry(timedelta(0))) for one in deliveries[5:]])
    assert len(explained.plans) == 5
    assert explained.scans == []


def test_the_relay_reads_no_table_from_end_to_end(full: Engine) -> None:
    source = SqlOutboxRelaySource(full)
    explained = Explained(full)
    rows = source.claim(now=datetime.now(UTC) + timedelta(minutes=1), limit=10, lease=timedelta(minutes=1))
    source.sent([row.id for row in rows])
    assert len(rows) == 10
    # The question whether anything is due stops at the first row that is, wherever it finds it.
    assert [plan for plan in explained.scans if not plan.startswith("SELECT")] == []


def _entry(number: int) -> JournalEntry:
    return JournalEntry(
        function=FUNCTION,
        message_id=MessageId(f"new-{number}"),
        state=ProcessingState.COMPLETED,
        attempts=1,
        correlation_id="c",
        causation_id=None,
        entity_id=None,
        started_at=NOW,
        finished_at=NOW,
    )


def _outgoing() -> Outgoing:
    return Outgoing(queue=QUEUE, tenant_id=TENANT, message_id=MessageId("m"), body=b"{}", ordering_key="k")
