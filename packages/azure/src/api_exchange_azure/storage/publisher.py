"""Sending to Storage Queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from api_exchange_azure.storage.queues import StorageQueues
from api_exchange_azure.storage.wire import Content
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing


@dataclass(frozen=True, slots=True)
class StorageQueuePublisher(MessagePublisher):
    """Puts messages into Storage Queues, one request each: the service takes no batches.

    Neither order nor tenants mean anything to it; ordering keys are not kept. A delay is 7 days at most.
    """

    queues: StorageQueues

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            self.queues.send(
                message.queue,
                Content(body=message.body, properties=message.properties),
                delay=message.delay,
                what=f"message {message.message_id!r}",
            )
