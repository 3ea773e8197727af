"""Queues in a table."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Integer, Row, Text, func, null, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql import hand_out, queue_rows
from api_exchange_core.adapters.sql.across_tenants import reading, writing, writing_once
from api_exchange_core.adapters.sql.many_rows import ForEachRow
from api_exchange_core.adapters.sql.queue_rows import Receipt
from api_exchange_core.adapters.sql.schema import queue
from api_exchange_core.adapters.sql.turns import Lane, Turns
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.queue_inspector import QueueInspector

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

    Each tenant that has messages gets its share of a batch, and what it leaves goes to the others (`Turns`). A tenant
    whose first message has just come may wait for `A_MOMENT`, if the others fill the batches until then.

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
    _turns: Turns = field(default_factory=Turns, init=False, repr=False, compare=False)

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            with writing_once(self.engine) as connection:
                queue_rows.put(connection, messages, now=self.clock.now())

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        now = self.clock.now()
        token = secrets.token_urlsafe(12)
        given = {"queue_name": queue, "now": now, "until": now + visibility, "token": token}
        rows: list[Row[Any]] = []
        tried: set[Lane] = set()
        while not rows and (lanes := self._lanes(queue, max_messages, now, tried)):
            tried.update(lanes)
            while lanes and len(rows) < max_messages:
                shares = _shares(lanes, max_messages - len(rows))
                found = self._hand_out(shares, given)
                rows += found
                lanes = self._with_more(queue, shares, found)
        return [
            Delivery(queue, row.body, str(_receipt(row, token)), row.receive_count, row.enqueued_at)
            for row in sorted(rows, key=lambda row: row.id)
        ]

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        with writing(self.engine) as connection:
            return queue_rows.extend(connection, deliveries, until=self.clock.now() + visibility)

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

    def _lanes(self, queue: QueueName, most: int, now: datetime, tried: set[Lane]) -> Sequence[Lane]:
        """Whose turn it is, without those that this receive has tried."""

        def look(after: str) -> Sequence[Lane]:
            with reading(self.engine) as connection:
                return hand_out.lanes(connection, queue, after=after, now=now)

        return [lane for lane in self._turns.next(queue, most, now=now, look=look) if lane not in tried]

    def _hand_out(self, shares: Mapping[Lane, int], given: Mapping[str, Any]) -> Sequence[Row[Any]]:
        with writing_once(self.engine) as connection:
            return hand_out.hand_out(connection, shares, given)

    def _with_more(
        self, queue: QueueName, shares: Mapping[Lane, int], found: Sequence[Row[Any]]
    ) -> Sequence[Lane]:
        """The lanes that had their share, and may have more."""
        counts = Counter(row.tenant_id for row in found)
        self._turns.drop(queue, {lane for lane, share in shares.items() if counts[lane] < share})
        return [lane for lane, share in shares.items() if counts[lane] == share]


def _shares(lanes: Sequence[Lane], messages: int) -> dict[Lane, int]:
    """How many messages each lane may give: as many as any other, or one less."""
    each, more = divmod(messages, len(lanes))
    shares = {lane: each + (place < more) for place, lane in enumerate(lanes)}
    return {lane: share for lane, share in shares.items() if share}


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
