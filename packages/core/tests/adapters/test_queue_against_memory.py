"""Random programs on the SQL queue, beside the same on the queue in memory: both answer alike at every step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, delete

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.schema import queue as queue_table
from api_exchange_core.domain.delivery import (
    Complete,
    DeadLetter,
    Defer,
    Delivery,
    Disposition,
    Retry,
    Settlement,
)
from api_exchange_core.domain.names import MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import PORTABLE, InMemoryQueue, VirtualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
QUEUES = [QueueName("orders-in"), QueueName("orders-out")]
TENANTS = [TenantId("customer-a"), TenantId("customer-b"), TenantId("customer-c")]

LIKE_SQL = replace(PORTABLE, name="the SQL queue", receipts_expire=False)

# Few times, so that those of several messages meet; and a microsecond on either side of them.
spans = st.sampled_from([0, 0, 10, 20, 30, 10.000001, 9.999999]).map(
    lambda seconds: timedelta(seconds=seconds)
)
timeouts = st.sampled_from([10, 20]).map(lambda seconds: timedelta(seconds=seconds))
anywhere = st.sampled_from([*QUEUES, *QUEUES, *map(dead_letter_queue, QUEUES)])
dispositions: st.SearchStrategy[Disposition] = st.one_of(
    st.builds(Complete),
    st.builds(Retry, spans),
    st.builds(Defer, spans),
    st.just(DeadLetter(b"letter", "died")),
)

Pair = tuple[Delivery, Delivery]
"""One message as both handed it out."""


class QueueMachine(RuleBasedStateMachine):
    """Bodies are never used twice, so that a body tells which message it is."""

    deliveries = Bundle("deliveries")

    database: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__()
        with self.database.begin() as connection:
            connection.execute(delete(queue_table))
        self.clock = VirtualClock(START)
        self.sql = SqlQueue(self.database, self.clock)
        self.memory = InMemoryQueue(self.clock, profile=LIKE_SQL)
        self.numbers = count(1)

    @rule(
        queue=st.sampled_from(QUEUES),
        messages=st.lists(
            st.tuples(st.sampled_from(TENANTS), st.sampled_from([None, None, "k", "l"]), spans),
            min_size=1,
            max_size=4,
        ),
    )
    def send(self, queue: QueueName, messages: list[tuple[TenantId, str | None, timedelta]]) -> None:
        batch = [
            Outgoing(
                queue=queue,
                tenant_id=tenant,
                message_id=MessageId(f"message-{number}"),
                body=b"%d" % number,
                delay=delay,
                ordering_key=key,
            )
            for number, (tenant, key, delay) in zip(self.numbers, messages, strict=False)
        ]
        self.sql.publish(batch)
        self.memory.publish(batch)

    @rule(target=deliveries, queue=anywhere, visibility=timeouts)
    def receive(self, queue: QueueName, visibility: timedelta) -> object:
        """All that is visible: which are first is each transport's own affair."""
        from_sql, from_memory = (_all(end, queue, visibility) for end in (self.sql, self.memory))
        assert [_seen(one) for one in from_sql] == [_seen(one) for one in from_memory]
        return multiple(*zip(from_sql, from_memory, strict=True))

    @rule(
        pairs=st.lists(
            st.tuples(deliveries, dispositions), min_size=1, max_size=4, unique_by=lambda one: id(one[0])
        )
    )
    def settle(self, pairs: list[tuple[Pair, Disposition]]) -> None:
        """Whatever was handed out at any time, once or again: receipts that are worthless have no effect."""
        endings = {one[0].body: (one, self._with_own_letter(ending)) for one, ending in pairs}.values()
        self.sql.settle([Settlement(sql, ending) for (sql, _), ending in endings])
        self.memory.settle([Settlement(memory, ending) for (_, memory), ending in endings])

    @rule(pairs=st.lists(deliveries, min_size=1, max_size=4, unique_by=id), visibility=timeouts)
    def extend(self, pairs: list[Pair], visibility: timedelta) -> None:
        lost_by_sql = self.sql.extend([sql for sql, _ in pairs], visibility=visibility)
        lost_by_memory = self.memory.extend([memory for _, memory in pairs], visibility=visibility)
        assert [one.body for one in lost_by_sql] == [one.body for one in lost_by_memory]

    @rule(span=spans)
    def time_passes(self, span: timedelta) -> None:
        self.clock.advance(span)

    @invariant()
    def as_many_messages_wait(self) -> None:
        assert self.sql.depths() == self.memory.depths()

    def _with_own_letter(self, ending: Disposition) -> Disposition:
        return DeadLetter(b"%d" % next(self.numbers), "died") if isinstance(ending, DeadLetter) else ending


def _all(end: SqlQueue | InMemoryQueue, queue: QueueName, visibility: timedelta) -> list[Delivery]:
    found: list[Delivery] = []
    while batch := end.receive(queue, max_messages=100, visibility=visibility):
        found += batch
    return sorted(found, key=lambda one: int(one.body))


def _seen(delivery: Delivery) -> tuple[object, ...]:
    return delivery.queue, delivery.body, delivery.receive_count, delivery.enqueued_at


def test_the_sql_queue_and_the_queue_in_memory_answer_alike(database_url: str) -> None:
    engine = create_engine_for(database_url)
    migrate.upgrade(engine)

    class OnThisDatabase(QueueMachine):
        database = engine

    try:
        run_state_machine_as_test(
            OnThisDatabase,
            settings=settings(
                max_examples=40,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        engine.dispose()
