"""What the worker hands to a function, as messages that have arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from api_exchange_azure.servicebus.received import Received as OfServiceBus
from api_exchange_azure.servicebus.wire import Property
from api_exchange_azure.storage.received import Received as OfStorage
from api_exchange_azure.storage.wire import Content
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from azure.functions import QueueMessage, ServiceBusMessage


def of_service_bus(
    queue: QueueName, message: ServiceBusMessage, *, place: int, in_session: bool
) -> OfServiceBus:
    """A message of a Service Bus trigger.

    Args:
        queue: its portable name.
        message: as the worker has it.
        place: in its batch, counted from 0; ids may come twice.
        in_session: its queue requires sessions; what others say of sessions has no meaning.
    """
    message_id = message.message_id or str(message.sequence_number)
    return OfServiceBus(
        queue=queue,
        receipt=f"{message_id}#{place}",
        message_id=message_id,
        body=_bytes(message.get_body()),
        properties=_properties(message.application_properties) or _properties(message.user_properties),
        session=message.session_id if in_session else None,
        times=max(message.delivery_count or 1, 1),  # the host counts deliveries from 1
        enqueued_at=_utc(message.enqueued_time_utc),
    )


def locks_of(messages: Sequence[ServiceBusMessage]) -> list[datetime]:
    """When the locks of messages end, as far as the host tells."""
    return [until for one in messages if (until := _utc(one.locked_until)) is not None]


def of_storage(queue: QueueName, message: QueueMessage) -> OfStorage:
    """A message of a Storage Queue trigger; the host has decoded its Base64."""
    return OfStorage(
        queue=queue,
        service_id=message.id or "",
        pop_receipt=message.pop_receipt or "",
        content=Content.of(message.get_body()),
        times=max(message.dequeue_count or 1, 1),
        inserted_at=_utc(message.insertion_time),
    )


def _bytes(body: Any) -> bytes:
    """A body, which is a text if the host took it for one."""
    return body.encode() if isinstance(body, str) else bytes(body)


def _properties(given: object) -> Mapping[str, Property]:
    if not isinstance(given, Mapping):
        return {}
    return {str(name): value for name, value in given.items() if isinstance(value, str | int | float | bool)}


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
