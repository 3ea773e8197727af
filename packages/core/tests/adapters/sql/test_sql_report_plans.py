"""That reports read from indexes, on both databases, however much has been handled before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from api_exchange_core.adapters.sql.backlog import SqlBacklog
from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.entity_reports import SqlEntityReports
from api_exchange_core.adapters.sql.error_groups import SqlErrorGroups
from api_exchange_core.adapters.sql.message_reports import SqlMessageReports
from api_exchange_core.adapters.sql.migrate import upgrade
from api_exchange_core.adapters.sql.statistics import SqlStatisticsSource
from api_exchange_core.domain.names import EntityId, MessageId, TenantId
from api_exchange_core.ports.entity_reports import EntityFilter
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.message_reports import MessageFilter, PlaceInList, Request

TENANT = TenantId("customer-7")
MANY = 40_000
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
TABLES = ("entities", "entity_versions", "journal", "queue", "outbox", "errors", "error_groups")

# A message a second for a day and more; n counts back from NOW. Twenty tenants, five functions, few failures.
FILL = (
    """INSERT INTO tenants (id, enabled, created_at)
       SELECT 'customer-' || n, {true}, {at0} FROM numbers WHERE n < 20""",
    """INSERT INTO entities SELECT 'customer-' || (n % 20), 'entity-' || n, 'type-' || (n % 3), 'shop',
       'external-' || n, 1, 'h' || n, NULL, {at}, {at} FROM numbers""",
    """INSERT INTO entity_versions SELECT 'customer-' || (n % 20), 'entity-' || n, 1, 'h', '{{}}', NULL,
       'request-' || n, NULL, {at} FROM numbers""",
    """INSERT INTO journal (tenant_id, function, message_id, state, attempts, correlation_id, causation_id, entity_id,
       started_at, finished_at, fingerprint, operation, waited, took)
       SELECT 'customer-' || (n % 20), 'function-' || (n % 5), 'message-' || n,
       CASE WHEN n % 1000 = 7 THEN 'dead' ELSE 'completed' END, 1, 'request-' || (n / 10), NULL, 'entity-' || n, {at},
       {at}, NULL, 'step', 20000, n FROM numbers""",
    """INSERT INTO queue (queue, tenant_id, message_id, body, properties, visible_at, receive_count, enqueued_at)
       SELECT 'queue-' || (n % 5), 'customer-' || (n % 20), 'message-' || n, '', '{{}}', {at}, 0, {at} FROM numbers""",
    """INSERT INTO outbox (tenant_id, kind, name, message_id, body, delay, properties, created_at, due_at)
       SELECT 'customer-' || (n % 20), 'queue', 'orders', 'message-' || n, '', 0, '{{}}', {at},
       {later} FROM numbers""",
    """INSERT INTO errors (tenant_id, function, message_id, correlation_id, attempt, code, reason, fingerprint,
       permanent, stack, occurred_at) SELECT 'customer-' || (n % 20), 'function-' || (n % 5), 'message-' || n,
       'request-' || n, 1, 'E', '', 'f' || (n % 50), {true}, '', {at} FROM numbers""",
    """INSERT INTO error_groups SELECT 'customer-' || (n % 20), 'f' || (n / 20), 'function-1', NULL, 'E', '', '',
       'message-1', 1, {at}, {at}, CASE WHEN n % 9 = 0 THEN 'resolved' ELSE 'open' END, NULL, NULL FROM numbers""",
)
NUMBERS = f"WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY - 1}) "
WORDS = {
    "sqlite": {
        "at": f"({SECONDS} - n) * 1000000",
        "later": f"({SECONDS} + 60 + n) * 1000000",
        "at0": f"{SECONDS} * 1000000",
        "true": "1",
    },
    "postgresql": {
        "at": f"to_timestamp({SECONDS} - n)",
        "later": f"to_timestamp({SECONDS} + 60 + n)",
        "at0": f"to_timestamp({SECONDS})",
        "true": "true",
    },
}


@pytest.fixture
def full(database_url: str) -> Iterator[Engine]:
    """A database with many rows, analysed on PostgreSQL as it does by itself in time."""
    engine = create_engine_for(database_url)
    upgrade(engine)
    words = WORDS[engine.dialect.name]
    with writing(engine) as connection:
        for statement in FILL:
            into, _, selected = statement.partition("SELECT")
            whole = f"{into} {NUMBERS} SELECT {selected}".format(**words)
            if engine.dialect.name == "sqlite":
                whole = whole.replace("'', '{}'", "x'', '{}'")
            connection.execute(text(whole))
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))
    yield engine
    engine.dispose()


class Explained:
    """The plans of all statements that an engine runs."""

    def __init__(self, engine: Engine) -> None:
        self.plans: list[str] = []
        self._word = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        event.listen(engine, "before_cursor_execute", self._explain)

    def _explain(self, _: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "WITH")):
            cursor.execute(f"{self._word} {statement}", parameters)
            self.plans.append("\n".join([statement, *(str(line[-1]) for line in cursor.fetchall())]))

    @property
    def scans(self) -> list[str]:
        """The plans that read a table from end to end."""
        return [plan for plan in self.plans if any(_reads_all(line, plan) for line in plan.splitlines())]


def _reads_all(line: str, plan: str) -> bool:
    if any(f"Seq Scan on {table} " in line for table in TABLES):
        return True
    in_order = "USING" in line and "LIMIT" in plan  # SQLite goes along an index, and stops
    return line.split()[:1] == ["SCAN"] and line.split()[1] in TABLES and not in_order


Ask = Callable[[Engine], Any]
_READ_AT_MOST = 3_000
LAST_HOUR = NOW - timedelta(hours=1)
MESSAGES: dict[str, Ask] = {
    "a correlation id": lambda engine: SqlMessageReports(engine).requests_named("request-500"),
    "a correlation id of a tenant": lambda engine: SqlMessageReports(engine).requests_named(
        "request-500", tenant_id=TENANT
    ),
    "a message's id": lambda engine: SqlMessageReports(engine).requests_named("message-77"),
    "an entity": lambda engine: SqlMessageReports(engine).requests_about("entity-77"),
    "a request": lambda engine: SqlMessageReports(engine).of_request(Request(TENANT, "request-0"), limit=100),
    "attempts": lambda engine: SqlMessageReports(engine).failed_attempts(
        [MessageId("message-7"), MessageId("message-27")], tenant_id=TENANT, limit=100
    ),
    "the newest messages": lambda engine: SqlMessageReports(engine).newest(MessageFilter(), limit=50),
    "the newest dead ones": lambda engine: SqlMessageReports(engine).newest(
        MessageFilter(state=ProcessingState.DEAD, since=NOW - timedelta(days=1)), limit=50
    ),
    "the next page": lambda engine: SqlMessageReports(engine).newest(
        MessageFilter(tenant_id=TENANT, since=LAST_HOUR),
        limit=50,
        after=PlaceInList.of(
            SqlMessageReports(engine).newest(MessageFilter(tenant_id=TENANT, since=LAST_HOUR), limit=50)[-1]
        ),
    ),
    "an external id": lambda engine: SqlEntityReports(engine).with_external_id(
        EntityFilter(external_id="external-77")
    ),
    "an entity's id": lambda engine: SqlEntityReports(engine).with_id("entity-77"),
    "a history": lambda engine: SqlEntityReports(engine).history(
        EntityId("entity-7"), tenant_id=TENANT, limit=10
    ),
    "an error": lambda engine: SqlErrorGroups(engine).named("f1000"),
    "the newest errors": lambda engine: SqlErrorGroups(engine).newest(limit=20),
    "the newest errors of a tenant": lambda engine: SqlErrorGroups(engine).newest(limit=20, tenant_id=TENANT),
    "resolving": lambda engine: SqlErrorGroups(engine).resolve("f1000", by="ops", now=NOW),
    "what waits": lambda engine: SqlBacklog(engine).messages(now=NOW),
    "the outbox": lambda engine: SqlBacklog(engine).effects(now=NOW),
    "the last hour": lambda engine: SqlStatisticsSource(engine).of_window(
        since=LAST_HOUR, until=NOW, most=_READ_AT_MOST
    ),
}


@pytest.mark.slow
def test_no_report_reads_a_table_from_end_to_end(full: Engine) -> None:
    explained = Explained(full)
    answers, scans = {}, {}
    for name, ask in MESSAGES.items():
        explained.plans.clear()
        answers[name] = ask(full)
        assert explained.plans, name
        scans[name] = explained.scans
    scans.pop("what waits")  # counts the queues, and here a queue is a fifth of the table
    assert {name: plans for name, plans in scans.items() if plans} == {}
    found = {name for name, answer in answers.items() if answer}
    # The outbox is not due, and no entity's id can be as simple as these are.
    assert sum(one.ended for one in answers["the last hour"].functions) == _READ_AT_MOST
    assert set(MESSAGES) - found == {"the outbox", "an external id"}
