"""The dead letters of queues in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.dead_letter import LetterId, StoredLetter, check_replayable, revived
from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, QueueName, dead_letter_queue
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.memory.queue import ORDERING_KEY, InMemoryQueue, QueuedMessage

_PAGE: Final = 50


class InMemoryDeadLetters(DeadLetters):
    """What lies in the dead-letter queues of *queues*. A letter's id is its number there.

    Args:
        queues: the transport.
    """

    def __init__(self, queues: InMemoryQueue) -> None:
        self._queues = queues

    @override
    def scan(self, queue: QueueName, *, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        last = 0
        while page := self._page(queue, until, after=last):
            yield [_letter(row) for row in page]
            last = page[-1].number

    @override
    def get(self, letter_id: LetterId) -> StoredLetter | None:
        for queue in self._queues.depths():
            if queue.endswith(DEAD_LETTER_SUFFIX):
                for row in self._queues.messages(queue):
                    if _id(row) == letter_id:
                        return _letter(row)
        return None

    @override
    def replay(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        return self._take(queue, letter_ids, until, send_back=True)

    @override
    def discard(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        return self._take(queue, letter_ids, until, send_back=False)

    def _page(self, queue: QueueName, until: datetime, *, after: int) -> Sequence[QueuedMessage]:
        rows = self._queues.messages(dead_letter_queue(queue))
        return [row for row in rows if row.number > after and row.enqueued_at <= until][:_PAGE]

    def _take(
        self, queue: QueueName, letter_ids: Collection[LetterId], until: datetime, *, send_back: bool
    ) -> Collection[LetterId]:
        wanted = set(letter_ids)

        def is_meant(row: QueuedMessage) -> bool:
            return _id(row) in wanted and row.enqueued_at <= until

        if send_back:
            for row in filter(is_meant, self._queues.messages(dead_letter_queue(queue))):
                check_replayable(_letter(row))
        taken = self._queues.replace(
            dead_letter_queue(queue), is_meant, by=lambda row: _replay(row, queue) if send_back else None
        )
        return {_id(row) for row in taken}


def _id(row: QueuedMessage) -> LetterId:
    return LetterId(str(row.number))


def _letter(row: QueuedMessage) -> StoredLetter:
    return StoredLetter(
        id=_id(row),
        queue=QueueName(row.outgoing.queue.removesuffix(DEAD_LETTER_SUFFIX)),
        body=row.body,
        buried_at=row.enqueued_at,
        tenant_id=row.outgoing.tenant_id,
    )


def _replay(row: QueuedMessage, queue: QueueName) -> Outgoing:
    properties = dict(row.outgoing.properties)
    return Outgoing(
        queue=queue,
        tenant_id=row.outgoing.tenant_id,
        message_id=row.outgoing.message_id,
        body=revived(row.body),
        delay=timedelta(0),
        ordering_key=properties.pop(ORDERING_KEY, None),
        properties=properties,
    )
