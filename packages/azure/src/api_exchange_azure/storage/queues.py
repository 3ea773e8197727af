"""Clients of queues, and sending to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from api_exchange_azure.errors import translated
from api_exchange_azure.storage.wire import LONGEST_DELAY, MAX_BODY, Content, whole_seconds
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient, QueueServiceClient

AT_ONCE: Final = 32
"""Most messages of one request ("Get Messages", "Peek Messages": numofmessages)."""

# "Update Message" and "Delete Message": somebody else was handed the message, or it is gone.
WORTHLESS: Final = frozenset({"PopReceiptMismatch", "MessageNotFound"})
"""What the service says of a receipt that is none any more."""

_FOR_EVER: Final = -1


@dataclass(frozen=True, slots=True)
class StorageQueues:
    """The queues of a storage account by their portable names.

    Args:
        service: of the account.
        prefix: what this deployment's queues begin with, so that several can share an account.
    """

    service: QueueServiceClient
    prefix: str = ""
    _clients: dict[QueueName, QueueClient] = field(default_factory=dict, init=False, repr=False)

    def __getitem__(self, name: QueueName) -> QueueClient:
        """The client of a queue; whether there is such a queue, its requests tell."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self.service.get_queue_client(self.prefix + name)
        return client

    def named(self, name: QueueName) -> str:
        """As errors call a queue."""
        return f"queue {self.prefix + name!r}"

    def send(self, name: QueueName, content: Content, *, delay: timedelta, what: str) -> None:
        """Send one message, which is kept until somebody removes it.

        Args:
            name: of the queue.
            content: the message.
            delay: how long it is invisible at first.
            what: the message as errors call it.

        Raises:
            PermanentError: it is too large, or delayed too long; the queue does not exist, or may not be sent to.
            TransientError: it may not be stored.
        """
        size = len(content.lying)
        if size > MAX_BODY:
            raise PermanentError(
                f"{what} to {self.named(name)} has {size:,} bytes with its properties; {MAX_BODY:,} is the limit of "
                "Storage Queues"
            )
        if delay > LONGEST_DELAY:
            raise PermanentError(
                f"{what} to {self.named(name)} is delayed by {delay}; {LONGEST_DELAY} is the limit of Storage Queues"
            )
        with translated("send", self.named(name)):
            self[name].send_message(
                content.text, visibility_timeout=whole_seconds(delay), time_to_live=_FOR_EVER
            )
