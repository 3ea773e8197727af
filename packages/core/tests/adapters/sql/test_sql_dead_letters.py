"""Dead letters in the table of the queues, where it is more than the port says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, insert, select
from typing_extensions import override

from api_exchange_core.adapters.sql.dead_letters import SqlDeadLetters
from api_exchange_core.adapters.sql.engine import reading, writing
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.schema import queue
from api_exchange_core.domain.dead_letter import LetterId
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import Outgoing

ORDERS = QueueName("orders")
DEAD_ORDERS = QueueName("orders-dlq")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class StoppedClock(Clock):
    @override
    def now(self) -> datetime:
        return NOW


def test_what_somebody_put_there_without_tenant_and_id_is_told_and_stays_until_it_is_discarded(
    engine: Engine,
) -> None:
    row = {
        "queue": DEAD_ORDERS,
        "body": b"hello",
        "properties": {"from": "hand"},
        "visible_at": NOW,
        "enqueued_at": NOW,
        "receive_count": 0,
    }
    with writing(engine) as connection:
        connection.execute(insert(queue), row)
    letters = SqlDeadLetters(engine, StoppedClock())
    ((letter,),) = letters.scan(ORDERS, until=NOW)
    assert (letter.body, letter.tenant_id) == (b"hello", None)
    with pytest.raises(PermanentError, match="no message of an exchange"):
        letters.replay(ORDERS, [letter.id], until=NOW)
    with reading(engine) as connection:
        (left,) = connection.execute(select(queue)).all()
    assert (left.queue, left.body, left.properties) == (DEAD_ORDERS, b"hello", {"from": "hand"})
    assert set(letters.discard(ORDERS, [letter.id], until=NOW)) == {letter.id}


def test_only_rows_of_dead_letter_queues_are_letters(engine: Engine) -> None:
    clock = StoppedClock()
    sender = SqlQueue(engine, clock)
    for name in ("orders", "orders-dlq", "ordersXdlq"):
        sender.publish(
            [
                Outgoing(
                    queue=QueueName(name),
                    tenant_id=TenantId("customer-a"),
                    message_id=MessageId("m-1"),
                    body=name.encode(),
                )
            ]
        )
    letters = SqlDeadLetters(engine, clock)
    with reading(engine) as connection:
        ids = {row.queue: LetterId(str(row.id)) for row in connection.execute(select(queue))}
    assert {name: letters.get(id_) is not None for name, id_ in ids.items()} == {
        "orders": False,
        "orders-dlq": True,
        "ordersXdlq": False,
    }
