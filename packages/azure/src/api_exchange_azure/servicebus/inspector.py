"""Looking into queues of Service Bus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from api_exchange_azure.errors import translated
from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, QueueName, dead_letter_queue
from api_exchange_core.ports.queue_inspector import QueueInspector

if TYPE_CHECKING:
    from azure.servicebus.management import ServiceBusAdministrationClient


@dataclass(frozen=True, slots=True)
class ServiceBusQueueInspector(QueueInspector):
    """Counts the messages of all queues that begin with the deployment's prefix; without one, of all there are.

    It takes the right to manage the namespace ("Azure Service Bus Data Owner"), and one request for a hundred queues.
    What the broker itself has put aside (``/$DeadLetterQueue``) counts among the dead letters of its queue.

    Args:
        client: of the namespace's administration.
        prefix: what this deployment's queues begin with.
    """

    client: ServiceBusAdministrationClient
    prefix: str = ""

    @override
    def depths(self) -> Mapping[QueueName, int]:
        depths: Counter[QueueName] = Counter()
        with translated("count", "the queues of the namespace"):
            for queue in self.client.list_queues_runtime_properties():
                if queue.name.startswith(self.prefix):
                    name = QueueName(queue.name.removeprefix(self.prefix))
                    # Deferred ones are active to it.
                    depths[name] += (queue.active_message_count or 0) + (queue.scheduled_message_count or 0)
                    depths[_grave(name)] += queue.dead_letter_message_count or 0
        return {name: depth for name, depth in depths.items() if depth}


def _grave(name: QueueName) -> QueueName:
    return name if name.endswith(DEAD_LETTER_SUFFIX) else dead_letter_queue(name)
