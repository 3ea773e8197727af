"""Queues in a table."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Integer, Row, Text, bindparam, exists, func, literal, null, or_, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql import queue_rows
from api_exchange_core.adapters.sql.across_tenants import reading, writing, writing_once
from api_exchange_core.adapters.sql.many_rows import ForEachRow
from api_exchange_core.adapters.sql.queue_rows import Receipt
from api_exchange_core.adapters.sql.schema import queue
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.queue_inspector import QueueInspector

_candidate = queue.alias("candidate")
_older = queue.alias("older")

_is_visible = (_candidate.c.queue == bindparam("queue_name"), _candidate.c.visible_at <= bindparam("now"))

_ANY_VISIBLE = select(literal(1)).select_from(_candidate).where(*_is_visible).limit(1)

_PICKED = (
    select(_candidate.c.id)
    .where(
        *_is_visible,
        or_(
            _candidate.c.ordering_key.is_(None),
            ~exists().where(
                _older.c.queue == _candidate.c.queue,
                _older.c.tenant_id == _candidate.c.tenant_id,
                _older.c.ordering_key == _candidate.c.ordering_key,
                _older.c.id < _candidate.c.id,
            ),
        ),
    )
    .order_by(_candidate.c.visible_at, _candidate.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True, of=_candidate)
    .cte("picked")
)

# Picked apart from the UPDATE, or PostgreSQL might plan a join that picks anew for each row and takes too many.
_HAND_OUT = (
    update(queue)
    .where(queue.c.id == _PICKED.c.id)
    .values(
        receive_count=queue.c.receive_count + 1,
        visible_at=bindparam("until"),
        receipt=bindparam("token", type_=Text),
    )
    .returning(queue.c.id, queue.c.body, queue.c.receive_count, queue.c.enqueued_at, queue.c.tenant_id)
)

_POSTPONE = ForEachRow(
    {"id": queue.c.id.type, "receipt": Text(), "visible_at": queue.c.visible_at.type, "uncounted": Integer()},
    lambda row: (
        update(queue)
        .where(queue.c.id == row["id"], queue.c.receipt == row["receipt"])
        .values(
            visible_at=row["visible_at"],
            receipt=null(),
            receive_count=queue.c.receive_count - row["uncounted"],
        )
    ),
)

_BURY = ForEachRow(
    {"id": queue.c.id.type, "receipt": Text(), "queue": queue.c.queue.type}
    | {"body": queue.c.body.type, "buried_at": queue.c.visible_at.type},
    lambda row: (
        update(queue)
        .where(queue.c.id == row["id"], queue.c.receipt == row["receipt"])
        .values(
            queue=row["queue"],
            body=row["body"],
            ordering_key=null(),
            visible_at=row["buried_at"],
            enqueued_at=row["buried_at"],
            receive_count=0,
            receipt=null(),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class SqlQueue(MessagePublisher, MessageConsumer, QueueInspector):
    """All the queues of an application in one table, for any number of consumers.

    A row is handed out by writing a fresh token and the end of its visibility into it, in a transaction that is
    over before anybody works on it. Settling asks for the token: if the time ran out and nobody else was handed
    the row meanwhile, it still counts, and else it finds no row and has no effect. PostgreSQL's consumers pass by
    rows that another is about to take (SKIP LOCKED); SQLite's take turns, and those that find nothing do not
    even do that. "Oldest first" means: visible for the longest time.

    Messages that wait behind another of their ordering key are read past by each receive, at some microseconds each:
    a key is for hundreds of waiting messages, not for hundreds of thousands.

    A dead letter is the same row, moved to the dead-letter queue. It leaves its ordering key behind, so that no
    letter waits for another. Its reason is in the letter; the table has no display of its own.

    Args:
        engine: of the database.
        clock: tells when messages are visible. It is the application's clock and not the database's, so that
            tests need not wait. Machines whose clocks differ by some seconds make a visibility timeout that much
            shorter or longer for each other, which costs at most a second delivery; keep it well above that.
    """

    engine: Engine
    clock: Clock

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            with writing_once(self.engine) as connection:
                queue_rows.put(connection, messages, now=self.clock.now())

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        now = self.clock.now()
        if self.engine.dialect.name == "sqlite" and not self._any_visible(queue, now):
            return ()
        token = secrets.token_urlsafe(12)
        parameters = {
            "queue_name": queue,
            "now": now,
            "most": max_messages,
            "until": now + visibility,
            "token": token,
        }
        with writing_once(self.engine) as connection:
            rows = connection.execute(_HAND_OUT, parameters).all()
        return [
            Delivery(queue, row.body, str(_receipt(row, token)), row.receive_count, row.enqueued_at)
            for row in sorted(rows, key=lambda row: row.id)
        ]

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        now = self.clock.now()
        completed = [one.delivery for one in settlements if isinstance(one.disposition, Complete)]
        postponed = [
            _postponed(one.delivery, one.disposition, now)
            for one in settlements
            if isinstance(one.disposition, Retry | Defer)
        ]
        buried = [
            _buried(one.delivery, one.disposition, now)
            for one in settlements
            if isinstance(one.disposition, DeadLetter)
        ]
        kinds = sum(1 for rows in (completed, postponed, buried) if rows)
        if kinds == 0:
            return
        with (writing_once if kinds == 1 else writing)(self.engine) as connection:
            if completed:
                queue_rows.remove(connection, completed)
            if postponed:
                _POSTPONE.run(connection, postponed)
            if buried:
                _BURY.run(connection, buried)

    @override
    def depths(self) -> Mapping[QueueName, int]:
        counted = select(queue.c.queue, func.count()).group_by(queue.c.queue)
        with reading(self.engine) as connection:
            return {QueueName(name): number for name, number in connection.execute(counted)}

    def _any_visible(self, queue: QueueName, now: datetime) -> bool:
        with reading(self.engine) as connection:
            return connection.execute(_ANY_VISIBLE, {"queue_name": queue, "now": now}).first() is not None


def _receipt(row: Row[Any], token: str) -> Receipt:
    return Receipt(row.id, token, of_tenant=row.tenant_id is not None)


def _postponed(delivery: Delivery, disposition: Retry | Defer, now: datetime) -> dict[str, Any]:
    receipt = Receipt.of(delivery)
    return {
        "id": receipt.id,
        "receipt": receipt.token,
        "visible_at": now + disposition.after,
        "uncounted": int(isinstance(disposition, Defer)),
    }


def _buried(delivery: Delivery, disposition: DeadLetter, now: datetime) -> dict[str, Any]:
    receipt = Receipt.of(delivery)
    return {
        "id": receipt.id,
        "receipt": receipt.token,
        "queue": dead_letter_queue(delivery.queue),
        "body": disposition.letter,
        "buried_at": now,
    }
