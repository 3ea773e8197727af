"""One thread that works through one function's queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from api_exchange_core.application.call import loggable
from api_exchange_core.application.processor_handler import GIVEN_BACK, ProcessorHandler
from api_exchange_core.domain.deadline import Deadline
from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.exchange import Function
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import BatchKeeper, Heartbeat
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.observer import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """How a worker takes its work.

    Args:
        batch: most messages of one receive, and so of one transaction.
        visibility: how long a received message is kept from other workers; renewed at a third of it while
            processors run.
        max_run: a batch whose processors take longer is not renewed any more, so that a processor that hangs does
            not keep its messages for ever: somebody else is handed them, and the late one cannot commit.
        patience: a batch whose processors take longer is committed as far as it has come, and the rest given back.
        poll: how often an idle worker looks for messages of other processes.
        after_error: the wait after an error that ended a round, such as a database that could not be reached.
    """

    batch: int = 100
    visibility: timedelta = timedelta(minutes=5)
    max_run: timedelta = timedelta(minutes=30)
    patience: timedelta = timedelta(seconds=2)
    poll: timedelta = timedelta(milliseconds=250)
    after_error: timedelta = timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Worker:
    """Receives, handles and settles until it is told to stop.

    Args:
        clock: tells when a batch must be done.
        heartbeat: renews what is in hand; shared by the workers of the process.
        in_hand: how many messages of the round under way are not told of yet, be they committed or not.
    """

    function: Function
    consumer: MessageConsumer
    handler: ProcessorHandler
    clock: Clock
    observer: Observer
    bell: Bell
    limits: WorkerLimits
    heartbeat: Heartbeat
    stopping: Callable[[], bool]
    in_hand: int = field(default=0, init=False)

    def run(self) -> None:
        """Work until `stopping`; what is in hand then is finished, and what is not begun is given back."""
        while not self.stopping():
            heard = self.bell.rings
            try:
                worked = self.work_once()
            except Exception as error:  # noqa: BLE001 - the last frame we own: without its thread a queue is served no more
                self.observer.event("worker.error", function=self.function.name, **loggable(error))
                self.bell.rest(self.limits.after_error, stopping=self.stopping)
                continue
            if worked:
                self.bell.ring()
            else:
                self.bell.wait(heard, at_most=self.limits.poll)

    def work_once(self) -> int:
        """Handle one batch.

        Returns:
            How many messages were received.

        Raises:
            TransientError: the store could not be reached; what was received comes back after its visibility.
        """
        deliveries = self.consumer.receive(
            self.function.input_queue, max_messages=self.limits.batch, visibility=self.limits.visibility
        )
        self.in_hand = len(deliveries)
        try:
            return self._work(deliveries)
        finally:
            self.in_hand = 0

    def _work(self, deliveries: Sequence[Delivery]) -> int:
        received = len(deliveries)
        if suspect := self._suspect(deliveries):
            self.consumer.settle([Settlement(one, GIVEN_BACK) for one in deliveries if one is not suspect])
            deliveries = [suspect]
        if deliveries:
            patience = Patience(self.limits.patience, self.stopping)
            deadline = Deadline(self.clock.now() + self.limits.max_run, is_called_off=self.stopping)
            keeper = self._keeper(deliveries)
            with keeper.extending():
                settlements = self.handler.handle(
                    self.function, deliveries, stop=patience.is_over, keeper=keeper, deadline=deadline
                )
            if settlements:
                self.consumer.settle(settlements)
        return received

    def _keeper(self, deliveries: Sequence[Delivery]) -> BatchKeeper:
        return BatchKeeper(
            self.heartbeat,
            self.consumer,
            deliveries,
            visibility=self.limits.visibility,
            max_run=self.limits.max_run,
        )

    def _suspect(self, deliveries: Sequence[Delivery]) -> Delivery | None:
        """A message that has been handed out more often than it may be tried, and never came to an end.

        It may be what kills the process, or only have been in hand with it. It runs alone, so that no other message
        pays for it; should it go on like this, the door dead-letters it. What is not run again after such an end needs
        none of it, and may come by for ever while it waits for an operator.
        """
        if not self.function.may_run_again:
            return None
        most = self.function.retry.max_attempts
        return next((one for one in deliveries if one.receive_count > most), None)


class Patience:
    """How long a batch may go on starting calls.

    It begins with the first call, which always runs: a slow processor makes small batches, not none.

    Args:
        time_: from the first call on.
        stopping: once true, no further call is started.
    """

    def __init__(self, time_: timedelta, stopping: Callable[[], bool]) -> None:
        self._seconds = time_.total_seconds()
        self._stopping = stopping
        self._until: float | None = None

    def is_over(self) -> bool:
        """Whether no further call is to be started."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        return self._stopping() or now > self._until
