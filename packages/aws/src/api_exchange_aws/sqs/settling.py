"""Carrying out how deliveries of SQS end, whoever received them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from api_exchange_aws.sqs import batches
from api_exchange_aws.sqs.queues import Queue, Queues
from api_exchange_aws.sqs.received import Receipt
from api_exchange_aws.sqs.wire import LONGEST_DELAY, LONGEST_HIDING, Notes, Parcel
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import ExchangeError
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.ports.clock import Clock

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_NO_TIME: Final = timedelta(0)
_TIME_TO_MOVE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Carried:
    """What came of settling.

    Args:
        completed: deliveries whose messages are still to be removed.
        moved: those whose messages were sent elsewhere, and removed.
        errors: what went wrong; the messages that it concerns stay, and come back after their timeout.
    """

    completed: list[Delivery] = field(default_factory=list)
    moved: list[Delivery] = field(default_factory=list)
    errors: list[ExchangeError] = field(default_factory=list)

    @property
    def done(self) -> list[Delivery]:
        """Those of which nothing is to come back."""
        return [*self.completed, *self.moved]

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Within the block, an error ends the block and is noted."""
        try:
            yield
        except ExchangeError as error:
            self.errors.append(error)


@dataclass(slots=True)
class _Plan:
    hide: list[tuple[Delivery, timedelta]] = field(default_factory=list)
    move: list[tuple[Delivery, QueueName, Callable[[Queue], Parcel]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Settling:
    """Hides what is to come back, and sends copies of what SQS cannot hide as it should be hidden.

    SQS goes on counting when a message is hidden and handed out again. That is right for a retry, and wrong for a
    deferral, which is no attempt; and nothing can be hidden for more than 12 hours. In both cases a copy is sent which
    notes the count, before the message itself is removed. A message that others wait for in a FIFO queue cannot be
    sent anew without losing its place: its deferrals count, and it is hidden for 11 hours at most.

    Before a copy or a dead letter is sent, the message is hidden for a minute. If that fails, its receipt is worthless,
    and it is somebody else's.
    """

    client: SQSClient
    queues: Queues
    clock: Clock

    def carry_out(self, settlements: Sequence[Settlement]) -> Carried:
        """Do all that *settlements* ask for, but for removing what is completed; errors are told and not raised."""
        carried = Carried()
        plans: dict[QueueName, _Plan] = {}
        now = self.clock.now()
        for settlement in settlements:
            if isinstance(settlement.disposition, Complete):
                carried.completed.append(settlement.delivery)
            else:
                _add(plans.setdefault(settlement.delivery.queue, _Plan()), settlement, now)
        for name, plan in plans.items():
            with carried.noting():
                self._hide(name, plan)
            with carried.noting():
                self._move(name, plan, carried)
        return carried

    def postpone(self, deliveries: Sequence[tuple[Delivery, timedelta]]) -> None:
        """Hide messages that were handed out before they were due, each for what is left of its time.

        Raises:
            PermanentError, TransientError: some could not be hidden; these come back after their timeout.
        """
        plans: dict[QueueName, _Plan] = {}
        for delivery, wait in deliveries:
            plan = plans.setdefault(delivery.queue, _Plan())
            plan.hide.append((delivery, min(wait, LONGEST_HIDING)))
        for name, plan in plans.items():
            self._hide(name, plan)

    def _hide(self, name: QueueName, plan: _Plan) -> None:
        if plan.hide:
            batches.hide(self.client, self.queues[name], plan.hide)

    def _move(self, name: QueueName, plan: _Plan, carried: Carried) -> None:
        if not plan.move:
            return
        source = self.queues[name]
        held = [(delivery, _TIME_TO_MOVE) for delivery, _, _ in plan.move]
        lost = {one.receipt for one in batches.hide(self.client, source, held)}
        ours = [one for one in plan.move if one[0].receipt not in lost]
        for target in {target: None for _, target, _ in ours}:
            with carried.noting():
                self._send(source, target, [(one, make) for one, to, make in ours if to == target], carried)

    def _send(
        self,
        source: Queue,
        target: QueueName,
        moving: Sequence[tuple[Delivery, Callable[[Queue], Parcel]]],
        carried: Carried,
    ) -> None:
        """Send copies, and remove the messages of those that SQS has stored."""
        queue = self.queues[target]
        sent = batches.send(self.client, queue, [make(queue) for _, make in moving])
        stored = [moving[place][0] for place in sent.stored]
        carried.moved += stored
        for refused in sent.refused:
            carried.errors.append(refused.error(f"sqs:SendMessage to {queue} of a message from {source}"))
        if sent.error is not None:
            carried.errors.append(sent.error)
        batches.delete(self.client, source, stored)


def _add(plan: _Plan, settlement: Settlement, now: datetime) -> None:
    delivery = settlement.delivery
    match settlement.disposition:
        case Retry(after) if after <= LONGEST_HIDING or Receipt.of(delivery).keeps_order:
            plan.hide.append((delivery, min(after, LONGEST_HIDING)))
        case Retry(after):
            plan.move.append((delivery, delivery.queue, _again(delivery, delivery.receive_count, after, now)))
        case Defer(after) if Receipt.of(delivery).keeps_order:
            plan.hide.append((delivery, min(after, LONGEST_HIDING)))
        case Defer(after):
            spent = delivery.receive_count - 1
            plan.move.append((delivery, delivery.queue, _again(delivery, spent, after, now)))
        case DeadLetter(letter):
            plan.move.append((delivery, dead_letter_queue(delivery.queue), _buried(delivery, letter)))


def _again(delivery: Delivery, spent: int, after: timedelta, now: datetime) -> Callable[[Queue], Parcel]:
    """A copy of the message, *after* some time, of which *spent* attempts are known."""

    def make(queue: Queue) -> Parcel:
        receipt = Receipt.of(delivery)
        by_sqs = _NO_TIME if queue.keeps_order else min(after, LONGEST_DELAY)
        notes = Notes(spent=spent, due_at=now + after if after > by_sqs else None)
        # Another id than the original's, or SQS takes it for the same; the same for the same copy of it.
        deduplication = f"{receipt.sqs_id}.{delivery.receive_count}" if queue.keeps_order else None
        return Parcel(
            body=delivery.body,
            attributes={**receipt.attributes, **notes.attributes},
            delay=by_sqs,
            group=deduplication if queue.keeps_order else receipt.group,
            deduplication=deduplication,
        )

    return make


def _buried(delivery: Delivery, letter: bytes) -> Callable[[Queue], Parcel]:
    """The letter, which no other waits for: it notes the group in which its message kept its place.

    In a FIFO queue it is a group of its own. In a standard one it stays in that of its tenant, as its replay will be.
    """

    def make(queue: Queue) -> Parcel:
        receipt = Receipt.of(delivery)
        notes = Notes(group=receipt.group if receipt.keeps_order else None)
        of_tenant = receipt.group if receipt.deduplication is None else None
        return Parcel(
            body=letter,
            attributes={**receipt.attributes, **notes.attributes},
            group=receipt.sqs_id if queue.keeps_order else of_tenant,
            deduplication=receipt.sqs_id if queue.keeps_order else None,
        )

    return make
