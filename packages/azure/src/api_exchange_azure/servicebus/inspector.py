"""Looking into queues of Service Bus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from api_exchange_azure.errors import translated
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.queue_inspector import QueueInspector

if TYPE_CHECKING:
    from azure.servicebus.management import ServiceBusAdministrationClient


@dataclass(frozen=True, slots=True)
class ServiceBusQueueInspector(QueueInspector):
    """Counts the messages of all queues that begin with the deployment's prefix; without one, of all there are.

    It takes the right to manage the namespace ("Azure Service Bus Data Owner"), and one request for a hundred queues.
    What the broker itself has put aside (``/$DeadLetterQueue``) is none of ours, and is not counted.

    Args:
        client: of the namespace's administration.
        prefix: what this deployment's queues begin with.
    """

    client: ServiceBusAdministrationClient
    prefix: str = ""

    @override
    def depths(self) -> Mapping[QueueName, int]:
        depths: dict[QueueName, int] = {}
        with translated("count", "the queues of the namespace"):
            for queue in self.client.list_queues_runtime_properties():
                depth = (queue.active_message_count or 0) + (queue.scheduled_message_count or 0)
                if queue.name.startswith(self.prefix) and depth:
                    depths[QueueName(queue.name.removeprefix(self.prefix))] = depth
        return depths
