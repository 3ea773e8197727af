"""Sending to queues of Service Bus, many messages at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from api_exchange_azure.errors import translated
from api_exchange_azure.servicebus.wire import Parcel
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusMessageBatch, ServiceBusSender


@dataclass(slots=True)
class _Shared:
    """A sender, which one thread may use at a time."""

    sender: ServiceBusSender
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True)
class Senders:
    """One sender a queue, for the life of the process: a link takes half a second to open.

    Args:
        client: of the namespace.
        prefix: what this deployment's queues begin with, so that several can share a namespace.
    """

    client: ServiceBusClient
    prefix: str = ""
    _senders: dict[QueueName, _Shared] = field(default_factory=dict, init=False, repr=False)
    _making: Lock = field(default_factory=Lock, init=False, repr=False)

    def send(self, queue: QueueName, parcels: Sequence[Parcel]) -> None:
        """Send *parcels* in their order, as many together as fit into one transfer.

        Raises:
            PermanentError: one is larger than the namespace takes, says which, and none is sent; or the queue does
                not exist, or may not be sent to.
            TransientError: some may not be stored.
        """
        if not parcels:
            return
        resource = f"queue {self.prefix + queue!r}"
        with self._sender(queue) as sender, translated("send", resource):
            for batch in list(_batches(sender, parcels, resource)):
                sender.send_messages(batch)

    def close(self) -> None:
        """Close all links."""
        with self._making:
            for shared in self._senders.values():
                shared.sender.close()
            self._senders.clear()

    @contextmanager
    def _sender(self, queue: QueueName) -> Iterator[ServiceBusSender]:
        with self._making:
            shared = self._senders.get(queue)
            if shared is None:
                shared = self._senders[queue] = _Shared(self.client.get_queue_sender(self.prefix + queue))
        with shared.lock:
            yield shared.sender


def _batches(
    sender: ServiceBusSender, parcels: Sequence[Parcel], resource: str
) -> Iterator[ServiceBusMessageBatch]:
    from azure.servicebus.exceptions import MessageSizeExceededError

    batch = sender.create_message_batch()
    for parcel in parcels:
        try:
            batch.add_message(parcel.on_wire)
        except MessageSizeExceededError:
            if len(batch):
                yield batch
            batch = sender.create_message_batch()
            try:
                batch.add_message(parcel.on_wire)
            except MessageSizeExceededError:
                raise PermanentError(
                    f"message {parcel.message_id!r} to {resource} has {len(parcel.body):,} bytes, and "
                    f"{batch.max_size_in_bytes:,} with its properties is the limit of the namespace"
                ) from None
    yield batch
