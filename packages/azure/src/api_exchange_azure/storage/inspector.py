"""Looking into Storage Queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import override

from api_exchange_azure.errors import translated
from api_exchange_azure.storage.graves import POISON
from api_exchange_azure.storage.queues import StorageQueues
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.ports.queue_inspector import QueueInspector


@dataclass(frozen=True, slots=True)
class StorageQueueInspector(QueueInspector):
    """Counts the messages of all queues that begin with the deployment's prefix; without one, of all in the account.

    It takes a request a queue. The service's counts are approximate, and never less than there are ("Get Queue
    Metadata"). What the Functions host itself has put aside (``<queue>-poison``) counts among the dead letters.
    """

    queues: StorageQueues

    @override
    def depths(self) -> Mapping[QueueName, int]:
        prefix = self.queues.prefix
        with translated("list", "the queues of the account"):
            listed = self.queues.service.list_queues(name_starts_with=prefix or None)
            names = [QueueName(str(queue.name).removeprefix(prefix)) for queue in listed]
        depths: Counter[QueueName] = Counter()
        for name in names:
            with translated("count", self.queues.named(name)):
                depth = self.queues[name].get_queue_properties().approximate_message_count or 0
            queue = name.removesuffix(POISON)
            depths[name if name == queue else dead_letter_queue(QueueName(queue))] += depth
        return {name: depth for name, depth in depths.items() if depth}
