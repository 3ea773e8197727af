"""What the suites of the messaging ports need of an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from api_exchange_core.domain.delivery import Delivery, Disposition, Settlement
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.queue_inspector import QueueInspector

_MOST = (
    1_000  # more than any test sends: an adapter that hands messages out for ever fails, and hangs nothing
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTraits:
    """In what one transport may honestly differ from another.

    Args:
        unit: a span that the transport keeps exactly; the suites wait and delay by small multiples of it.
        oldest_first: messages without ordering keys are received in the order in which they were sent.
        fair: each tenant gets its share of a receive.
        ordering_keys: messages with the same key wait for each other.
        receipts_expire: a receipt is worthless from the end of its timeout, not only from the next receive.
        max_body: largest body in bytes, None for any; more is refused. What a message may be always fits.
        max_delay: longest delay, None for any; more is refused. What an output may have is always taken.
    """

    unit: timedelta = timedelta(seconds=30)
    oldest_first: bool = True
    fair: bool = True
    ordering_keys: bool = True
    receipts_expire: bool = True
    max_body: int | None = None
    max_delay: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """The ends of one transport, and two queues to try it on.

    Args:
        publisher: puts messages in.
        consumer: takes them out; of an adapter that only publishes, any consumer of the same transport.
        inspector: counts them, for `QueueInspectorSuite`.
        queues: two queues that are empty, as their dead-letter queues are.
        traits: in what the transport differs.
    """

    publisher: MessagePublisher
    consumer: MessageConsumer
    inspector: QueueInspector | None = None
    queues: tuple[QueueName, QueueName] = (QueueName("orders-in"), QueueName("orders-out"))
    traits: QueueTraits = field(default_factory=QueueTraits)

    @property
    def queue(self) -> QueueName:
        """The first queue."""
        return self.queues[0]

    @property
    def visibility(self) -> timedelta:
        """The visibility timeout of `receive`."""
        return 2 * self.traits.unit

    def receive(self, queue: QueueName | None = None) -> list[Delivery]:
        """All that is visible now."""
        name = self.queue if queue is None else queue
        deliveries: list[Delivery] = []
        while batch := self.consumer.receive(name, max_messages=10, visibility=self.visibility):
            deliveries += batch
            assert len(deliveries) <= _MOST, "received messages stay visible"
        return deliveries

    def receive_one(self, queue: QueueName | None = None) -> Delivery:
        """The only one that is visible now."""
        (delivery,) = self.receive(queue)
        return delivery

    def bodies(self, queue: QueueName | None = None) -> list[bytes]:
        """The bodies of all that is visible now."""
        return [delivery.body for delivery in self.receive(queue)]

    def settle(self, deliveries: Sequence[Delivery], disposition: Disposition) -> None:
        """End all of *deliveries* in the same way."""
        self.consumer.settle([Settlement(delivery, disposition) for delivery in deliveries])
