"""Receiving from Service Bus, where something runs that polls: a container, or a machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError, MessageNotFoundError
from typing_extensions import override

from api_exchange_azure.errors import translated
from api_exchange_azure.servicebus.copies import ServiceBusCopies
from api_exchange_azure.servicebus.received import Received
from api_exchange_azure.servicebus.wire import properties_of
from api_exchange_core.domain.delivery import Complete, Delivery, Disposition, Retry, Settlement
from api_exchange_core.domain.errors import ExchangeError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.message_consumer import MessageConsumer

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver

_WORTHLESS: Final = (MessageLockLostError, MessageAlreadySettled, MessageNotFoundError)
_NO_TIME: Final = timedelta(0)


@dataclass(slots=True, eq=False)
class _Shared:
    """A receiver, which one thread may use at a time."""

    receiver: ServiceBusReceiver
    lock: Lock = field(default_factory=Lock)


@dataclass(slots=True, eq=False)
class _Held:
    """A message under a lock that this process was given."""

    received: Received
    message: ServiceBusReceivedMessage
    source: _Shared


class ServiceBusMessageConsumer(MessageConsumer):
    """Takes messages out of queues of Service Bus under peek-lock, the oldest first, of whatever tenant.

    How long a message is locked is the queue's to say (its lock duration, 5 minutes at most); a renewal is for as long
    again. The visibility that callers ask for is to be no longer than that. Queues that require sessions are for
    functions: this consumer reads none, and says so.

    Args:
        client: of the namespace.
        copies: of what is to wait, and letters.
        prefix: what this deployment's queues begin with.
        wait: how long a receive may wait for the first message; more than nothing.
    """

    def __init__(
        self, client: ServiceBusClient, copies: ServiceBusCopies, *, prefix: str = "", wait: timedelta
    ) -> None:
        self._client = client
        self._copies = copies
        self._prefix = prefix
        self._wait = wait
        self._receivers: dict[QueueName, _Shared] = {}
        self._links = ExitStack()
        self._held: dict[str, _Held] = {}
        self._making = Lock()

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        shared = self._shared(queue)
        with shared.lock, translated("receive", self._named(queue)):
            messages = shared.receiver.receive_messages(max_messages, self._wait.total_seconds())
        held = [_Held(_received(queue, one), one, shared) for one in messages]
        self._held.update({one.received.receipt: one for one in held})
        return [one.received.delivery for one in held]

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return [one for one in deliveries if not self._renew(one)]

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        errors: list[ExchangeError] = []
        for settlement in settlements:
            held = self._held.pop(settlement.delivery.receipt, None)
            if held is None:
                continue  # settled before
            try:
                self._end(held, settlement.disposition)
            except ExchangeError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Close all links; what is locked comes back when its lock ends."""
        with self._making:
            self._links.close()
            self._receivers.clear()
            self._held.clear()

    def _end(self, held: _Held, disposition: Disposition) -> None:
        match disposition:
            case Complete():
                self._tell(held, "complete", held.source.receiver.complete_message)
            case Retry(after) if after <= _NO_TIME:
                self._tell(held, "abandon", held.source.receiver.abandon_message)
            case _:
                # A lock that cannot be renewed is gone: the message is somebody else's, and no copy of it is due.
                if self._tell(held, "renew the lock", held.source.receiver.renew_message_lock):
                    self._copies.send([(held.received, disposition)])
                    self._tell(held, "complete", held.source.receiver.complete_message)

    def _renew(self, delivery: Delivery) -> bool:
        held = self._held.get(delivery.receipt)
        if held is None:
            return False
        kept = self._tell(held, "renew the lock", held.source.receiver.renew_message_lock)
        if not kept:
            self._held.pop(delivery.receipt, None)
        return kept

    def _tell(self, held: _Held, action: str, call: Callable[[ServiceBusReceivedMessage], object]) -> bool:
        """Whether the lock was good for it."""
        with held.source.lock, translated(action, self._named(held.received.queue)):
            try:
                call(held.message)
            except _WORTHLESS:
                return False
        return True

    def _shared(self, queue: QueueName) -> _Shared:
        with self._making:
            shared = self._receivers.get(queue)
            if shared is None:
                # Opened here: to open a link may take longer than a receive may wait.
                with translated("receive", self._named(queue)):
                    receiver = self._client.get_queue_receiver(self._prefix + queue)
                    shared = _Shared(self._links.enter_context(receiver))
                self._receivers[queue] = shared
            return shared

    def _named(self, queue: QueueName) -> str:
        return f"queue {self._prefix + queue!r}"


def _received(queue: QueueName, message: ServiceBusReceivedMessage) -> Received:
    return Received(
        queue=queue,
        receipt=str(message.lock_token),
        message_id=message.message_id or str(message.sequence_number),
        body=b"".join(message.body),
        properties=properties_of(message),
        session=None,  # a session that the queue does not require says nothing
        times=(message.delivery_count or 0) + 1,  # AMQP counts failed deliveries
        enqueued_at=message.enqueued_time_utc,
    )
