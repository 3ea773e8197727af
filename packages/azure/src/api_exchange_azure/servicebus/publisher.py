"""Sending to Service Bus."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta

from typing_extensions import override

from api_exchange_azure.servicebus.senders import Senders
from api_exchange_azure.servicebus.wire import Parcel, broker_id
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing

_NO_DELAY = timedelta(0)


@dataclass(frozen=True, slots=True)
class ServiceBusMessagePublisher(MessagePublisher):
    """Puts messages into queues of Service Bus.

    The broker's id of a message is its tenant and id, so that a queue that detects duplicates drops the second of two.
    An ordering key of a tenant is a session. Where a queue requires sessions, what has no key is in one of its own.

    Args:
        senders: of the namespace.
        clock: tells when a delayed message falls due.
        session_queues: those that require sessions.
    """

    senders: Senders
    clock: Clock
    session_queues: AbstractSet[QueueName] = frozenset()

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        by_queue: dict[QueueName, list[Parcel]] = {}
        for message in messages:
            by_queue.setdefault(message.queue, []).append(self._parcel(message))
        for queue, parcels in by_queue.items():
            self.senders.send(queue, parcels)

    def _parcel(self, message: Outgoing) -> Parcel:
        if message.delay > MAX_DELAY:
            raise PermanentError(
                f"message {message.message_id!r} to queue {message.queue!r} is delayed by {message.delay}; {MAX_DELAY} "
                "is the limit"
            )
        message_id = broker_id(message.tenant_id, message.message_id)
        return Parcel(
            message_id=message_id,
            body=message.body,
            properties=message.properties,
            session=self._session(message, message_id),
            due_at=self.clock.now() + message.delay if message.delay > _NO_DELAY else None,
        )

    def _session(self, message: Outgoing, message_id: str) -> str | None:
        if message.ordering_key is not None:
            return broker_id(message.tenant_id, "key", message.ordering_key)
        return message_id if message.queue in self.session_queues else None
