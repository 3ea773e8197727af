"""One link of the client library, over which messages come and are settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessageNotFoundError,
    SessionLockLostError,
)

from api_exchange_azure.errors import translated
from api_exchange_azure.servicebus.received import Received
from api_exchange_azure.servicebus.wire import body_of, properties_of
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

_WORTHLESS: Final = (MessageLockLostError, MessageAlreadySettled, MessageNotFoundError, SessionLockLostError)
_LONGEST_LOCK: Final = timedelta(minutes=5)  # Service Bus quotas


@dataclass(slots=True, eq=False)
class Link:
    """A receiver, which one thread may use at a time.

    Args:
        receiver: open, of a queue or of one session of it.
        named: the queue, as errors call it.
    """

    receiver: ServiceBusReceiver
    named: str
    _lock: Lock = field(default_factory=Lock, repr=False)

    def receive(self, most: int, wait: timedelta) -> Sequence[ServiceBusReceivedMessage]:
        """Up to *most* messages, for the first of which it waits.

        Raises:
            PermanentError, TransientError: it may not be received from, or not now.
        """
        with self._lock, translated("receive", self.named):
            return self.receiver.receive_messages(most, wait.total_seconds())

    def complete(self, message: ServiceBusReceivedMessage) -> bool:
        """Remove *message*; whether its lock was good for it.

        Raises:
            PermanentError, TransientError: here and below: that is not known; it comes back with its lock's end.
        """
        return self._tell("complete", lambda: self.receiver.complete_message(message))

    def abandon(self, message: ServiceBusReceivedMessage) -> bool:
        """Give *message* back as failed, to be handed out at once; whether its lock was good for it."""
        return self._tell("abandon", lambda: self.receiver.abandon_message(message))

    def renew(self, message: ServiceBusReceivedMessage) -> bool:
        """Lock *message*, or its session, for as long again; whether that was still ours."""
        session = self.receiver.session
        if session is not None:
            return self._tell("renew the lock", session.renew_lock)
        return self._tell("renew the lock", lambda: self.receiver.renew_message_lock(message))

    def until(self, message: ServiceBusReceivedMessage, *, now: datetime) -> datetime:
        """When the lock of *message*, or of its session, ends by the service's clock."""
        session = self.receiver.session
        until = message.locked_until_utc if session is None else session.locked_until_utc
        return now + _LONGEST_LOCK if until is None else until

    def _tell(self, action: str, call: Callable[[], object]) -> bool:
        with self._lock, translated(action, self.named):
            try:
                call()
            except _WORTHLESS:
                return False
            except (
                ValueError
            ) as error:  # how the library says that the link was closed, as by a lost connection
                raise TransientError(f"{action} on {self.named} failed: the link is closed") from error
        return True


@dataclass(slots=True, eq=False)
class Handed:
    """A message under a lock that this process was given.

    Args:
        received: what is known of it.
        message: as the library has it.
        link: over which it came.
    """

    received: Received
    message: ServiceBusReceivedMessage
    link: Link

    @classmethod
    def of(cls, queue: QueueName, message: ServiceBusReceivedMessage, link: Link) -> Handed:
        """A message that has just come over *link*."""
        received = Received(
            queue=queue,
            receipt=str(message.lock_token),
            message_id=message.message_id or str(message.sequence_number),
            body=body_of(message),
            properties=properties_of(message),
            # A session that the queue does not require says nothing.
            session=None if link.receiver.session is None else message.session_id,
            times=(message.delivery_count or 0) + 1,  # AMQP counts failed deliveries
            enqueued_at=message.enqueued_time_utc,
        )
        return cls(received, message, link)
