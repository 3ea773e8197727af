"""Messages of SQS that Lambda has received."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from api_exchange_aws.sqs.queues import Queues
from api_exchange_aws.sqs.received import Receipt, Received
from api_exchange_aws.sqs.settling import Settling
from api_exchange_aws.triggers.time_left import TimeLeft
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.application.call import loggable
from api_exchange_core.application.processor_handler import GIVEN_BACK, ProcessorHandler
from api_exchange_core.domain.delivery import Defer, Delivery, Settlement
from api_exchange_core.domain.errors import DeclarationError, ExchangeError, TransientError
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.names import QueueName
from api_exchange_core.local.heartbeat import Heartbeat, LeaseKeeper
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer

_TOGETHER: Final = 100
"""Most messages of one transaction; a batch window collects up to 10,000."""
_NO_TIME: Final = timedelta(0)
_OUT_OF_REACH: Final = Defer(timedelta(minutes=1))
"""How a message ends whose content cannot be had for now."""


@dataclass(frozen=True, slots=True)
class SqsTrigger:
    """Handles a batch, and answers which of its messages are not done.

    Lambda removes the messages that are not in the answer, if the event source mapping reports batch item failures;
    where it does not it removes all, and what was to be retried is lost. Messages that are to come back are hidden for
    as long as they are to wait, and SQS goes on counting them.

    Of an ordering key, which only FIFO queues keep, one message is handled at a time. If it is to come back, so are all
    later ones of its key, untouched; SQS counts these as well.

    A message that was handed out more often than it may be tried is handled alone: it may be what ended the process
    each time.

    A message whose content is kept apart is handled whole. While the store of contents is out of reach it is deferred,
    which is no attempt; if its content is gone or damaged, it is dead-lettered with its claim.

    Args:
        claims: contents that are kept apart from their messages; None if nowhere is a place for them.
    """

    exchange: Exchange
    queues: Queues
    settling: Settling
    handler: ProcessorHandler
    claims: ClaimCheck | None
    heartbeat: Heartbeat
    clock: Clock
    observer: Observer

    def handle(self, records: Sequence[Mapping[str, Any]], time_left: TimeLeft) -> dict[str, object]:
        """Handle the *records* of an event.

        Raises:
            DeclarationError: they are from a queue that no function of the exchange consumes.
        """
        by_queue: dict[QueueName, list[Mapping[str, Any]]] = {}
        for record in records:
            by_queue.setdefault(self._queue(record["eventSourceARN"]), []).append(record)
        done: set[str] = set()
        for queue, some in by_queue.items():
            done |= self._handle(self._function(queue), some, time_left)
        left = [record["messageId"] for record in records if record["messageId"] not in done]
        return {"batchItemFailures": [{"itemIdentifier": sqs_id} for sqs_id in left]}

    def _queue(self, arn: str) -> QueueName:
        name = arn.rpartition(":")[2]
        queue = self.queues.portable(name)
        if queue is None:
            raise DeclarationError(
                f"queue {name!r} is none of this deployment's: its name does not begin with {self.queues.prefix!r}, "
                "which is what API_EXCHANGE_QUEUE_PREFIX says"
            )
        return queue

    def _function(self, queue: QueueName) -> Function:
        function = self.exchange.by_queue.get(queue)
        if function is None:
            raise DeclarationError(
                f"queue {queue!r} starts this, and no function of exchange {self.exchange.name!r} consumes it; they "
                f"consume {', '.join(self.exchange.by_queue) or 'none'}"
            )
        return function

    def _handle(
        self, function: Function, records: Sequence[Mapping[str, Any]], time_left: TimeLeft
    ) -> set[str]:
        """The ids, as SQS has them, of what is done."""
        now = self.clock.now()
        received = [Received.from_event(function.input_queue, record, now=now) for record in records]
        waits = {one.delivery.receipt: one.wait for one in received if one.wait}
        lanes = _lanes([one.delivery for one in received])
        done: set[str] = set()
        back: list[tuple[Delivery, timedelta]] = []
        while lanes:
            first = [lane.popleft() for lane in lanes]
            for batch in _batches(function, [one for one in first if one.receipt not in waits]):
                done |= self._work(function, batch, time_left)
            back += [(one, waits[one.receipt]) for one in first if one.receipt in waits]
            going_on = []
            for one, lane in zip(first, lanes, strict=True):
                if _id(one) in done:
                    going_on.append(lane)
                else:
                    back += [(behind, waits.get(behind.receipt, _NO_TIME)) for behind in lane]
            lanes = [lane for lane in going_on if lane]
        self._postpone(function, back)
        return done

    def _work(self, function: Function, batch: Sequence[Delivery], time_left: TimeLeft) -> set[str]:
        if time_left.is_over():
            return set()  # Lambda gives them back, and SQS counts them
        whole, settlements = self._whole(function, batch)
        settlements += self._settlements(function, whole, time_left)
        carried = self.settling.carry_out(self._fitting(function, settlements))
        for error in carried.errors:
            self._tell(function, error)
        return {_id(delivery) for delivery in carried.done}

    def _whole(
        self, function: Function, batch: Sequence[Delivery]
    ) -> tuple[list[Delivery], list[Settlement]]:
        """*batch* with its contents, and how those end whose contents cannot be had for now."""
        if self.claims is None:
            return list(batch), []
        whole: list[Delivery] = []
        waiting: list[Settlement] = []
        for delivery in batch:
            try:
                whole.append(self.claims.redeemed(delivery))
            except TransientError as error:
                self.observer.event("content.unreachable", function=function.name, **loggable(error))
                waiting.append(Settlement(delivery, _OUT_OF_REACH))
        return whole, waiting

    def _fitting(self, function: Function, settlements: Sequence[Settlement]) -> list[Settlement]:
        """*settlements* with claims in what is sent anew, where it needs them."""
        if self.claims is None:
            return list(settlements)
        fitting: list[Settlement] = []
        for one in settlements:
            try:
                fitting.append(self.claims.settled(one))
            except ExchangeError as error:
                self._tell(function, error)
        return fitting

    def _settlements(
        self, function: Function, batch: Sequence[Delivery], time_left: TimeLeft
    ) -> list[Settlement]:
        if time_left.is_short():
            self.observer.event("batch.given_back", function=function.name, count=len(batch))
            return [Settlement(delivery, GIVEN_BACK) for delivery in batch]
        return self.handler.handle(
            function,
            batch,
            stop=time_left.is_short,
            keeper=LeaseKeeper(self.heartbeat, time_left.until_reserve),
            deadline=time_left.deadline(self.clock.now()),
        )

    def _postpone(self, function: Function, deliveries: Sequence[tuple[Delivery, timedelta]]) -> None:
        """Hide what is not due yet, and what is behind something that comes back."""
        try:
            self.settling.postpone(deliveries)
        except ExchangeError as error:
            self._tell(function, error)

    def _tell(self, function: Function, error: ExchangeError) -> None:
        """What could not be settled comes back when its queue's visibility timeout ends."""
        self.observer.event("settle.failed", function=function.name, **loggable(error))


def _lanes(deliveries: Sequence[Delivery]) -> list[deque[Delivery]]:
    """Deliveries that have to wait for each other, in their order, together; and each other by itself."""
    lanes: dict[str, deque[Delivery]] = {}
    for delivery in deliveries:
        receipt = Receipt.of(delivery)
        lane = f"group {receipt.group}" if receipt.keeps_order else f"message {receipt.sqs_id}"
        lanes.setdefault(lane, deque()).append(delivery)
    return list(lanes.values())


def _batches(function: Function, deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    suspects = [one for one in deliveries if _is_suspect(function, one)]
    others = [one for one in deliveries if not _is_suspect(function, one)]
    for start in range(0, len(others), _TOGETHER):
        yield others[start : start + _TOGETHER]
    for suspect in suspects:
        yield [suspect]


def _is_suspect(function: Function, delivery: Delivery) -> bool:
    return function.may_run_again and delivery.receive_count > function.retry.max_attempts


def _id(delivery: Delivery) -> str:
    return Receipt.of(delivery).sqs_id
