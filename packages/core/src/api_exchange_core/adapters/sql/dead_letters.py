"""Dead letters in the table of the queues."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Select, bindparam, delete, select, tuple_
from typing_extensions import override

from api_exchange_core.adapters.sql import queue_rows
from api_exchange_core.adapters.sql.across_tenants import reading, writing
from api_exchange_core.adapters.sql.schema import queue
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter, check_replayable, revived
from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, QueueName, dead_letter_queue
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.message_publisher import Outgoing

_PAGE: Final = 100
"""Letters that are read, or moved in one transaction, at a time; each may have a megabyte."""

_MOST_DIGITS: Final = 18  # of a number that fits the column for sure

_LETTERS: Select[Any] = select(
    queue.c.id, queue.c.queue, queue.c.tenant_id, queue.c.body, queue.c.enqueued_at, queue.c.visible_at
)

# In the order of the index on queues; nothing that is to be handed out again changes places meanwhile.
_FIRST_PAGE = (
    _LETTERS.where(queue.c.queue == bindparam("buried_in"), queue.c.enqueued_at <= bindparam("until"))
    .order_by(queue.c.visible_at, queue.c.id)
    .limit(_PAGE)
)
_NEXT_PAGE = _FIRST_PAGE.where(
    tuple_(queue.c.visible_at, queue.c.id)
    > tuple_(bindparam("after", type_=queue.c.visible_at.type), bindparam("after_id", type_=queue.c.id.type))
)

_LETTER = _LETTERS.where(
    queue.c.id == bindparam("letter"), queue.c.queue.endswith(DEAD_LETTER_SUFFIX, autoescape=True)
)

_WANTED = (
    queue.c.queue == bindparam("buried_in"),
    queue.c.id.in_(bindparam("letters", expanding=True)),
    queue.c.enqueued_at <= bindparam("until"),
)
_TAKE = select(queue).where(*_WANTED).order_by(queue.c.visible_at, queue.c.id).with_for_update()
_REMOVE = delete(queue).where(queue.c.id.in_(bindparam("letters", expanding=True)))
_DISCARD = delete(queue).where(*_WANTED).returning(queue.c.id)


@dataclass(frozen=True, slots=True)
class SqlDeadLetters(DeadLetters):
    """The dead letters of a database. A letter's id is the number of its row.

    A replay is a new row, and the letter's is removed in the same transaction. The new number is what keeps the order:
    with its old one it would be handed out beside a message of its ordering key that is in hand already.

    Args:
        engine: of the database.
        clock: tells when a replayed message is visible: now.
    """

    engine: Engine
    clock: Clock

    @override
    def scan(self, queue: QueueName, *, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        wanted: dict[str, Any] = {"buried_in": dead_letter_queue(queue), "until": until}
        statement = _FIRST_PAGE
        while True:
            with reading(self.engine) as connection:
                rows = connection.execute(statement, wanted).all()
            if rows:
                yield [_letter(row) for row in rows]
            if len(rows) < _PAGE:
                return
            statement = _NEXT_PAGE
            wanted |= {"after": rows[-1].visible_at, "after_id": rows[-1].id}

    @override
    def get(self, letter_id: LetterId) -> StoredLetter | None:
        numbers = _numbers([letter_id])
        if not numbers:
            return None
        with reading(self.engine) as connection:
            row = connection.execute(_LETTER, {"letter": numbers[0]}).first()
        return None if row is None else _letter(row)

    @override
    def replay(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        replayed: list[int] = []
        for wanted in _pages(queue, letter_ids, until):
            with writing(self.engine) as connection:
                replayed += self._put_back(connection, queue, wanted)
        return {_id(number) for number in replayed}

    @override
    def discard(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        discarded: list[int] = []
        for wanted in _pages(queue, letter_ids, until):
            with writing(self.engine) as connection:
                discarded += connection.execute(_DISCARD, wanted).scalars()
        return {_id(number) for number in discarded}

    def _put_back(self, connection: Connection, queue: QueueName, wanted: dict[str, Any]) -> list[int]:
        rows = connection.execute(_TAKE, wanted).all()
        numbers = [row.id for row in rows]
        for row in rows:
            check_replayable(_letter(row))
        if rows:
            queue_rows.put(connection, [_replay(row, queue) for row in rows], now=self.clock.now())
            connection.execute(_REMOVE, {"letters": numbers})
        return numbers


def _letter(row: Row[Any]) -> StoredLetter:
    return StoredLetter(
        id=_id(row.id),
        queue=QueueName(row.queue.removesuffix(DEAD_LETTER_SUFFIX)),
        body=row.body,
        buried_at=row.enqueued_at,
        tenant_id=row.tenant_id,
    )


def _replay(row: Row[Any], queue: QueueName) -> Outgoing:
    # Tenant and id are those of the row: if somebody else put it there without, it stays without.
    properties = dict(row.properties)
    return Outgoing(
        queue=queue,
        tenant_id=row.tenant_id,
        message_id=row.message_id,
        body=revived(row.body),
        ordering_key=properties.pop(queue_rows.ORDERING_KEY, None),
        properties=properties,
    )


def _id(number: int) -> LetterId:
    return LetterId(str(number))


def _numbers(letter_ids: Collection[LetterId]) -> list[int]:
    return [int(id_) for id_ in letter_ids if id_.isdecimal() and len(id_) <= _MOST_DIGITS]


def _pages(queue: QueueName, letter_ids: Collection[LetterId], until: datetime) -> Iterator[dict[str, Any]]:
    numbers = _numbers(letter_ids)
    for start in range(0, len(numbers), _PAGE):
        yield {
            "buried_in": dead_letter_queue(queue),
            "letters": numbers[start : start + _PAGE],
            "until": until,
        }
