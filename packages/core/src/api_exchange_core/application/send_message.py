"""Sending the first message of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.json_value import json_value
from api_exchange_core.domain.message import MESSAGE_TYPE, Message
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.domain.trace_context import TraceContext
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.randomness import Randomness


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Makes a message that has no parent and puts it into a queue."""

    exchange: str
    publisher: MessagePublisher
    clock: Clock
    randomness: Randomness
    observer: Observer

    def send(
        self,
        queue: QueueName,
        payload: object,
        *,
        tenant_id: TenantId,
        entity: EntityReference | None = None,
        correlation_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        trace: TraceContext | None = None,
        message_id: MessageId | None = None,
    ) -> Message:
        """Send *payload* to *queue* on behalf of a tenant.

        Args:
            queue: a portable name.
            payload: anything with a JSON form.
            tenant_id: on whose behalf.
            entity: what it is about.
            correlation_id: of the request it belongs to; its own id if it begins one.
            metadata: texts that travel along.
            trace: of whoever asks for it.
            message_id: one that follows from what it is sent for, so that sending it twice makes no second message; a
                new one if not given.

        Returns:
            The message, once the transport has stored it.

        Raises:
            UnrepresentableError: the payload has no JSON form.
            InvalidMessageError: the message is too large.
            TransientError: it may not have been stored.
        """
        if message_id is None:
            message_id = MessageId(self.randomness.new_id())
        with self.observer.sending(queue, parent=trace) as carried:
            message = Message(
                id=message_id,
                tenant_id=tenant_id,
                source=f"/{self.exchange}",
                type=MESSAGE_TYPE,
                payload=json_value(payload),
                time=self.clock.now(),
                correlation_id=message_id if correlation_id is None else correlation_id,
                entity=entity,
                metadata={} if metadata is None else metadata,
                trace=carried,
            )
            body = encode(message)
            self.publisher.publish(
                [Outgoing(queue=queue, tenant_id=tenant_id, message_id=message_id, body=body)]
            )
        return message
