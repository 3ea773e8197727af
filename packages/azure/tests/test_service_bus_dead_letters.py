"""Dead letters in Service Bus: the suite, and what only a broker with locks, counts and a place of its own can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage
from typing_extensions import override

from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.dead_letters import ServiceBusDeadLetters
from api_exchange_azure.servicebus.inspector import ServiceBusQueueInspector
from api_exchange_azure.servicebus.senders import Senders
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.domain.claim_check import claim_in
from api_exchange_core.domain.dead_letter import Letter, LetterId, LetterKind, StoredLetter, contents
from api_exchange_core.domain.delivery import Retry, Settlement
from api_exchange_core.domain.envelope import decode, encode, encode_letter
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_testing import InMemoryPayloadStore
from api_exchange_testing.conformance import DeadLettersSuite, PassingTime, QueueTraits, Transport
from packages.azure.tests.administration import Administration
from packages.azure.tests.namespace import IN_ORDER, LOCK, PREFIX, QUEUES, Namespace

_QUEUE = QueueName("orders-in")
_GRAVE = PREFIX + "orders-in-dlq"
_TENANT = TenantId("customer-a")


class _Passing(Sleeper):
    """Lets the broker's time pass in place of ours."""

    def __init__(self, clock: PassingTime, factor: int = 1) -> None:
        self._clock = clock
        self._factor = factor

    @override
    def sleep(self, time: timedelta) -> None:
        self._clock.advance(self._factor * time)

    @override
    async def sleep_async(self, time: timedelta) -> None:
        self.sleep(time)


@pytest.fixture(scope="module")
def consumer(namespace_of_module: Namespace) -> Iterator[ServiceBusMessageConsumer]:
    consumer = namespace_of_module.consumer()
    yield consumer
    consumer.close()


@pytest.fixture(scope="module")
def operator(namespace_of_module: Namespace) -> Iterator[ServiceBusDeadLetters]:
    letters = ServiceBusDeadLetters(namespace_of_module.senders, SystemSleeper())
    yield letters
    letters.close()


@pytest.mark.slow  # each receive that finds nothing waits for it
class TestServiceBusDeadLetters(DeadLettersSuite):
    @pytest.fixture
    def clock(self, namespace: Namespace, consumer: ServiceBusMessageConsumer) -> PassingTime:
        for name in QUEUES:  # what an earlier test has left on its way to the consumer
            consumer.receive(QueueName(name), max_messages=100, visibility=LOCK)
        return namespace.clock

    @pytest.fixture
    def transport(
        self, clock: PassingTime, namespace: Namespace, consumer: ServiceBusMessageConsumer
    ) -> Transport:
        return Transport(
            publisher=namespace.publisher,
            consumer=consumer,
            traits=QueueTraits(ordering_keys=False, fair=False),
        )

    @pytest.fixture
    def dead_letters(self, transport: Transport, operator: ServiceBusDeadLetters) -> ServiceBusDeadLetters:
        return operator
