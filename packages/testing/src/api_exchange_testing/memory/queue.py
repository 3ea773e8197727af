"""Queues in memory: at least once, with everything that makes that hard."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from typing_extensions import override

from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.domain.names import QueueName, TenantId, dead_letter_queue
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.queue_inspector import QueueInspector
from api_exchange_testing.memory.outgoing import kept
from api_exchange_testing.memory.profile import PORTABLE, Profile

ORDERING_KEY = "orderingkey"
"""Name under which the properties of a dead letter keep the ordering key of its message."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in a queue, as it is at the moment.

    Args:
        number: grows with every message that is sent.
        outgoing: as it was sent.
        enqueued_at: when.
        visible_at: not handed out before.
        receive_count: how often it has been handed out, deferrals not counted.
        receipt: of the newest receive.
        due_at: when its delay is over, if that is after *visible_at*: it has to be sent again before.
        redelivered: it was completed once, and is handed out all the same.
    """

    number: int
    outgoing: Outgoing
    enqueued_at: datetime
    visible_at: datetime
    receive_count: int = 0
    receipt: str | None = None
    due_at: datetime | None = None
    redelivered: bool = False

    @property
    def body(self) -> bytes:
        """The bytes that were sent."""
        return self.outgoing.body

    @property
    def group(self) -> tuple[str, str] | None:
        """What its order is kept within; None if it has no ordering key."""
        key = self.outgoing.ordering_key
        return None if key is None else (self.outgoing.tenant_id, key)


_Rows = dict[int, QueuedMessage]


class InMemoryQueue(MessagePublisher, MessageConsumer, QueueInspector):
    """All the queues of an application. A queue is there as soon as something is sent to it.

    Args:
        clock: tells when delays and visibility timeouts are over.
        profile: of the platform whose queues these stand for.
    """

    def __init__(self, clock: Clock, *, profile: Profile = PORTABLE) -> None:
        self.profile = profile
        self._clock = clock
        self._completed = 0
        self._queues: defaultdict[QueueName, _Rows] = defaultdict(dict)
        self._served_last: dict[QueueName, TenantId] = {}
        self._numbers = count(1)
        self._lock = threading.RLock()

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        size = self.profile.send_batch or max(1, len(messages))
        for start in range(0, len(messages), size):
            self.exchange(acknowledged=(), published=messages[start : start + size])

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        self.profile.check_visibility(visibility)
        most = min(max_messages, self.profile.receive_batch or max_messages)
        with self._lock:
            if not self._queues.get(queue):
                return []
            now = self._clock.now()
            self._send_on(queue, now)
            due = [row for row in self._first_of_groups(queue) if row.visible_at <= now]
            chosen = self._in_turn(queue, due, most) if self.profile.fair else due[:most]
            return [self._hand_out(row, visible_at=now + visibility) for row in chosen]

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        self.profile.check_visibility(visibility)
        lost = []
        with self._lock:
            until = self._clock.now() + visibility
            for delivery in deliveries:
                row = self._claimed(delivery)
                if row is None:
                    lost.append(delivery)
                else:
                    self._queues[delivery.queue][row.number] = replace(row, visible_at=until)
        return lost

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        with self._lock:
            for settlement in settlements:
                row = self._claimed(settlement.delivery)
                if row is not None:
                    self._carry_out(settlement, row)

    @override
    def depths(self) -> Mapping[QueueName, int]:
        with self._lock:
            return {queue: len(rows) for queue, rows in self._queues.items() if rows}

    def exchange(self, *, acknowledged: Sequence[Delivery], published: Sequence[Outgoing]) -> None:
        """Complete deliveries and send messages, all of it or nothing: a store's part in its commit.

        Raises:
            ClaimLostError: a receipt is worthless.
            PermanentError: a message can never be sent.
        """
        for outgoing in published:
            self.profile.check(outgoing)
        with self._lock:
            self.check_claims(acknowledged)
            for delivery in acknowledged:
                self._queues[delivery.queue].pop(_number(delivery), None)
            for outgoing in published:
                self._enqueue(outgoing)

    def check_claims(self, deliveries: Sequence[Delivery]) -> None:
        """Return if all receipts still hold.

        Raises:
            ClaimLostError: one does not.
        """
        with self._lock:
            for delivery in deliveries:
                if self._claimed(delivery) is None:
                    raise ClaimLostError(
                        f"a delivery of queue {delivery.queue!r} took longer than its visibility timeout"
                    )

    def replace(
        self,
        queue: QueueName,
        wanted: Callable[[QueuedMessage], bool],
        *,
        by: Callable[[QueuedMessage], Outgoing | None],
    ) -> Sequence[QueuedMessage]:
        """Take *wanted* messages out of *queue* and send another for each, or none, all at once.

        Returns:
            Those that were taken, oldest first.
        """
        with self._lock:
            taken = [row for row in self._queues.get(queue, {}).values() if wanted(row)]
            for row in taken:
                del self._queues[queue][row.number]
                outgoing = by(row)
                if outgoing is not None:
                    self._enqueue(outgoing)
            return taken

    def messages(self, queue: QueueName) -> Sequence[QueuedMessage]:
        """What is in *queue*, invisible and delayed messages included, oldest first."""
        with self._lock:
            return tuple(self._queues.get(queue, {}).values())

    def discard(self, queue: QueueName, number: int) -> None:
        """Remove a message, whoever has it in hand."""
        with self._lock:
            self._queues.get(queue, {}).pop(number, None)

    @property
    def names(self) -> Collection[QueueName]:
        """The queues that something was ever sent to."""
        with self._lock:
            return frozenset(self._queues)

    def next_visible_at(
        self,
        queues: Collection[QueueName],
        *,
        without: Callable[[QueuedMessage], bool] | None = None,
    ) -> datetime | None:
        """When the next message of *queues* can be received; None if there is no message.

        Args:
            queues: which.
            without: messages that do not count; all do if not given.
        """
        with self._lock:
            rows = [row for queue in queues for row in self._first_of_groups(queue)]
            counted = rows if without is None else [row for row in rows if not without(row)]
            return min((row.visible_at for row in counted), default=None)

    def _first_of_groups(self, queue: QueueName) -> Iterator[QueuedMessage]:
        """The messages that no unsettled one is ahead of, oldest first."""
        seen = set()
        for row in self._queues.get(queue, {}).values():
            if row.group is None or not self.profile.ordering_keys:
                yield row
            elif row.group not in seen:
                seen.add(row.group)
                yield row

    def _in_turn(self, queue: QueueName, due: Sequence[QueuedMessage], most: int) -> Sequence[QueuedMessage]:
        """One message of each tenant after the other, beginning after the tenant that was served last."""
        waiting: dict[TenantId, deque[QueuedMessage]] = {}
        for row in due:
            waiting.setdefault(row.outgoing.tenant_id, deque()).append(row)
        last = self._served_last.get(queue, "")
        turns = deque(sorted(waiting, key=lambda tenant: (tenant <= last, tenant)))
        chosen: list[QueuedMessage] = []
        while turns and len(chosen) < most:
            tenant = turns.popleft()
            chosen.append(waiting[tenant].popleft())
            self._served_last[queue] = tenant
            if waiting[tenant]:
                turns.append(tenant)
        return sorted(chosen, key=lambda row: row.number)

    def _hand_out(self, row: QueuedMessage, *, visible_at: datetime) -> Delivery:
        queue = row.outgoing.queue
        receipt = f"{row.number}/{next(self._numbers)}"
        row = replace(row, visible_at=visible_at, receive_count=row.receive_count + 1, receipt=receipt)
        self._queues[queue][row.number] = row
        return Delivery(queue, row.body, receipt, row.receive_count, row.enqueued_at)

    def _claimed(self, delivery: Delivery) -> QueuedMessage | None:
        """The message of a delivery whose receipt still holds."""
        row = self._queues.get(delivery.queue, {}).get(_number(delivery))
        if row is None or row.receipt != delivery.receipt:
            return None
        expired = self.profile.receipts_expire and self._clock.now() >= row.visible_at
        return None if expired else row

    def _carry_out(self, settlement: Settlement, row: QueuedMessage) -> None:
        rows = self._queues[row.outgoing.queue]
        now = self._clock.now()
        match settlement.disposition:
            case Complete():
                self._complete(row)
            case Retry(after):
                self._postpone(replace(row, receipt=None), now, after)
            case Defer(after):
                self._postpone(replace(row, receipt=None, receive_count=row.receive_count - 1), now, after)
            case DeadLetter(letter):
                del rows[row.number]
                dead_letters = dead_letter_queue(row.outgoing.queue)
                self._enqueue(
                    replace(
                        row.outgoing,
                        queue=dead_letters,
                        body=letter,
                        ordering_key=None,
                        delay=timedelta(0),
                        properties=_with_ordering_key(row.outgoing),
                    )
                )

    def _complete(self, row: QueuedMessage) -> None:
        rows = self._queues[row.outgoing.queue]
        self._completed += not row.redelivered
        every = self.profile.redelivers_every
        if every and not row.redelivered and self._completed % every == 0:
            rows[row.number] = replace(row, visible_at=self._clock.now(), receipt=None, redelivered=True)
        else:
            del rows[row.number]

    def _enqueue(self, outgoing: Outgoing) -> None:
        now = self._clock.now()
        visible_at, due_at = self._hidden(now, outgoing.delay)
        row = QueuedMessage(next(self._numbers), kept(outgoing), now, visible_at, due_at=due_at)
        self._queues[outgoing.queue][row.number] = row

    def _postpone(self, row: QueuedMessage, now: datetime, wait: timedelta) -> None:
        visible_at, due_at = self._hidden(now, wait)
        self._queues[row.outgoing.queue][row.number] = replace(row, visible_at=visible_at, due_at=due_at)

    def _hidden(self, now: datetime, wait: timedelta) -> tuple[datetime, datetime | None]:
        """Until when a message is hidden for *wait*, and when that is over if the platform needs several steps."""
        step = min(wait, self.profile.max_delay)
        return now + step, now + wait if step < wait else None

    def _send_on(self, queue: QueueName, now: datetime) -> None:
        """Send again what a platform hands out before its delay is over."""
        rows = self._queues.get(queue, {}).values()
        early = [(row, row.due_at) for row in rows if row.due_at is not None and row.visible_at <= now]
        for row, due_at in early:
            self._postpone(row, now, max(due_at - now, timedelta(0)))


def _with_ordering_key(outgoing: Outgoing) -> Mapping[str, str]:
    # Letters do not wait for each other; a replay has its key again.
    key = outgoing.ordering_key
    return outgoing.properties if key is None else {**outgoing.properties, ORDERING_KEY: key}


def _number(delivery: Delivery) -> int:
    number = delivery.receipt.partition("/")[0]
    return (
        int(number) if number.isdecimal() else 0
    )  # a receipt of some other transport: no message has number 0
