"""Messages as a Storage Queue hands them out, to a consumer or to a function, as deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from api_exchange_azure.storage.wire import Content
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import QueueName


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message, with what it takes to send a copy of it.

    Args:
        queue: its portable name.
        service_id: the id that the service gave it.
        pop_receipt: of this receive.
        content: what it holds.
        times: how often the service has handed it out, this time included.
        inserted_at: when it was sent.
    """

    queue: QueueName
    service_id: str
    pop_receipt: str = field(repr=False)
    content: Content
    times: int
    inserted_at: datetime | None

    @property
    def delivery(self) -> Delivery:
        """What the use cases are handed."""
        receipt = f"{self.service_id} {self.pop_receipt}"
        return Delivery(self.queue, self.content.body, receipt, self.receive_count, self.inserted_at)

    @property
    def receive_count(self) -> int:
        """How often it was handed out that counts, copies of it included."""
        return max(self.content.spent + self.times, 1)

    @property
    def keeps_order(self) -> bool:
        """Storage Queues keep no order, so nothing waits for this message."""
        return False
