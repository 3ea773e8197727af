"""Receiving from Storage Queues, where something runs that polls: a container, or a machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import HttpResponseError
from typing_extensions import override

from api_exchange_azure.errors import code_of, translated
from api_exchange_azure.held import HeldMessages
from api_exchange_azure.storage.copies import StorageCopies
from api_exchange_azure.storage.queues import AT_ONCE, WORTHLESS, StorageQueues
from api_exchange_azure.storage.received import Received
from api_exchange_azure.storage.wire import LONGEST_DELAY, Content, whole_seconds
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import ExchangeError, PermanentError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage

_TIME_TO_MOVE: Final = timedelta(minutes=1)


class StorageQueueConsumer(MessageConsumer):
    """Takes messages out of Storage Queues, in about the order in which they were sent, of whatever tenant.

    A message that waits is hidden, and the service goes on counting. For a deferral, which is no attempt, the message
    notes one receive less. The service knows whole seconds only; other times are rounded up.

    Args:
        queues: of the account.
        copies: send dead letters.
        clock: tells how long receipts have been held.

    Attributes:
        held: what was handed out, and is neither settled nor lost.
    """

    def __init__(self, queues: StorageQueues, copies: StorageCopies, clock: Clock) -> None:
        self._queues = queues
        self._copies = copies
        self._clock = clock
        self.held: HeldMessages[Received] = HeldMessages()

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        self.held.forget(self._clock.now())
        received: list[Received] = []
        while len(received) < max_messages:
            asked = min(AT_ONCE, max_messages - len(received))
            with translated("receive", self._queues.named(queue)):
                messages = self._queues[queue].receive_messages(
                    max_messages=asked, messages_per_page=asked, visibility_timeout=whole_seconds(visibility)
                )
                page = [_received(queue, message) for message in messages]
            received += page
            if len(page) < asked:
                break
        deliveries = [one.delivery for one in received]
        for delivery, one in zip(deliveries, received, strict=True):
            self._keep(delivery, one, visibility)
        return deliveries

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return [one for one in deliveries if not self._extend(one, visibility)]

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        errors: list[ExchangeError] = []
        for settlement in settlements:
            held = self.held.take(settlement.delivery.receipt)
            if held is None:
                continue  # settled before, or known to be lost
            try:
                self._end(held, settlement)
            except ExchangeError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _end(self, held: Received, settlement: Settlement) -> None:
        match settlement.disposition:
            case Complete():
                self._delete(held)
            case Retry(after):
                self._hide(held, min(after, LONGEST_DELAY))
            case Defer(after):
                self._hide(held, min(after, LONGEST_DELAY), spent=held.content.spent - 1)
            case DeadLetter(letter):
                # Who cannot hide a message has lost it, and its letter is not theirs to write.
                hidden = self._hide(held, _TIME_TO_MOVE)
                if hidden is not None:
                    self._copies.bury(held, letter)
                    self._delete(hidden)

    def _extend(self, delivery: Delivery, visibility: timedelta) -> bool:
        held = self.held.find(delivery.receipt)
        hidden = None if held is None else self._hide(held, visibility)
        if hidden is None:
            self.held.take(delivery.receipt)
            return False
        self._keep(delivery, hidden, visibility)  # each change of a message makes its receipt anew
        return True

    def _keep(self, delivery: Delivery, held: Received, visibility: timedelta) -> None:
        # A receipt is good until somebody else is handed the message, which may be later than its time is up.
        self.held.keep(delivery.receipt, held, until=self._clock.now() + 2 * visibility)

    def _hide(self, held: Received, time: timedelta, *, spent: int | None = None) -> Received | None:
        """Hide a message for *time* from now on; None if its receipt is worthless."""
        content = held.content if spent is None else replace(held.content, spent=spent)

        def hide() -> Received:
            message = self._queues[held.queue].update_message(
                held.service_id,
                held.pop_receipt,
                content=content.text,
                visibility_timeout=whole_seconds(time),
            )
            return replace(held, pop_receipt=_of(message), content=content)

        return self._told("hide a message", held, hide)

    def _delete(self, held: Received) -> None:
        def delete() -> Received:
            self._queues[held.queue].delete_message(held.service_id, held.pop_receipt)
            return held

        self._told("delete a message", held, delete)

    def _told(self, action: str, held: Received, request: Callable[[], Received]) -> Received | None:
        with translated(action, self._queues.named(held.queue)):
            try:
                return request()
            except HttpResponseError as error:
                if code_of(error) in WORTHLESS:
                    return None
                raise


def _received(queue: QueueName, message: QueueMessage) -> Received:
    return Received(
        queue=queue,
        service_id=message.id,
        pop_receipt=_of(message),
        content=Content.in_text(message.content),
        times=message.dequeue_count or 1,
        inserted_at=message.inserted_on,
    )


def _of(message: QueueMessage) -> str:
    if message.pop_receipt is None:
        raise PermanentError(
            f"message {message.id!r} came without a receipt: it was peeked at, and not received"
        )
    return message.pop_receipt
