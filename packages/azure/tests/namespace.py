"""A Service Bus that the tests of a module share, and its clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from azure.servicebus import ServiceBusClient
from typing_extensions import override

from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.copies import ServiceBusCopies
from api_exchange_azure.servicebus.publisher import ServiceBusMessagePublisher
from api_exchange_azure.servicebus.senders import Senders
from api_exchange_core.domain.names import QueueName
from api_exchange_testing.conformance import PassingTime
from api_exchange_testing.servicebus import Queue, ServiceBusBroker

PREFIX = "test-"
QUEUES = ("orders-in", "orders-out")
IN_ORDER = QueueName("in-order")
ALSO_IN_ORDER = QueueName("also-in-order")
LOCK = timedelta(minutes=1)


class BrokerClock(PassingTime):
    """The broker's time, which is ahead of the machine's by what has passed there."""

    def __init__(self, broker: ServiceBusBroker) -> None:
        self._broker = broker
        self._passed = timedelta(0)

    @override
    def now(self) -> datetime:
        return datetime.now(UTC) + self._passed

    @override
    def advance(self, by: timedelta) -> None:
        self._broker.advance(by)
        self._passed += by


@dataclass(slots=True)
class Namespace:
    """A broker with queues, and the adapters on it."""

    broker: ServiceBusBroker
    clock: BrokerClock
    client: ServiceBusClient
    senders: Senders
    session_queues: frozenset[QueueName] = field(default=frozenset({IN_ORDER, ALSO_IN_ORDER}))

    @classmethod
    def start(cls) -> Self:
        """Start one with two queues that have room for the suites, and two with sessions."""
        names = [f"{PREFIX}{name}" for name in QUEUES]
        in_order = [f"{PREFIX}{name}" for name in (IN_ORDER, ALSO_IN_ORDER)]
        broker = ServiceBusBroker(
            queues=[
                *(Queue(name, lock_duration=LOCK, max_delivery_count=100) for name in names),
                *(f"{name}-dlq" for name in names),
                *(
                    Queue(name, lock_duration=LOCK, requires_session=True, max_delivery_count=100)
                    for name in in_order
                ),
                *(f"{name}-dlq" for name in in_order),
            ]
        ).start()
        client = ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0)
        return cls(broker, BrokerClock(broker), client, Senders(client, PREFIX))

    @property
    def copies(self) -> ServiceBusCopies:
        """Sends copies, and letters."""
        return ServiceBusCopies(self.senders, self.clock, self.session_queues)

    @property
    def publisher(self) -> ServiceBusMessagePublisher:
        """Sends messages."""
        return ServiceBusMessagePublisher(self.senders, self.clock, self.session_queues)

    def consumer(self) -> ServiceBusMessageConsumer:
        """A consumer with links of its own."""
        return ServiceBusMessageConsumer(
            self.client,
            self.copies,
            self.clock,
            prefix=PREFIX,
            session_queues=self.session_queues,
            wait=timedelta(seconds=0.25),
        )

    def purge(self) -> None:
        """Empty all queues."""
        for name in (*QUEUES, IN_ORDER, ALSO_IN_ORDER):
            for path in (name, f"{name}-dlq", f"{name}/$DeadLetterQueue", f"{name}-dlq/$DeadLetterQueue"):
                self.broker.purge(PREFIX + path)

    def stop(self) -> None:
        """Close the client, and end the broker."""
        self.senders.close()
        self.client.close()
        self.broker.stop()
