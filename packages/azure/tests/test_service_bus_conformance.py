"""The queues of Service Bus pass the suites that every transport passes, on a broker whose clock can be advanced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_testing import InMemoryPayloadStore
from api_exchange_testing.conformance import (
    MessageConsumerSuite,
    MessagePublisherSuite,
    PassingTime,
    QueueTraits,
    Transport,
)
from packages.azure.tests.namespace import ALSO_IN_ORDER, IN_ORDER, LOCK, PREFIX, QUEUES, Namespace

_WHOLE = 192 * 1024


@pytest.fixture(scope="module")
def consumer(namespace_of_module: Namespace) -> Iterator[ServiceBusMessageConsumer]:
    consumer = namespace_of_module.consumer()
    yield consumer
    consumer.close()


@pytest.fixture
def drained(namespace_of_module: Namespace, consumer: ServiceBusMessageConsumer) -> None:
    """Take what an earlier test has left on its way to the consumer, whose links the tests share."""
    for name in QUEUES:
        for queue in (QueueName(name), dead_letter_queue(QueueName(name))):
            while namespace_of_module.broker.messages(PREFIX + queue):
                consumer.receive(queue, max_messages=100, visibility=LOCK)
                namespace_of_module.broker.purge(PREFIX + queue)
                consumer.receive(queue, max_messages=100, visibility=LOCK)


@pytest.mark.slow  # each receive that finds nothing waits for it
class TestServiceBus(MessagePublisherSuite, MessageConsumerSuite):
    @pytest.fixture
    def clock(self, drained: None, namespace: Namespace) -> PassingTime:
        return namespace.clock

    @pytest.fixture
    def transport(
        self, drained: None, namespace: Namespace, consumer: ServiceBusMessageConsumer
    ) -> Transport:
        claims = ClaimCheck(InMemoryPayloadStore(), _WHOLE)
        return Transport(
            publisher=ClaimCheckPublisher(namespace.publisher, claims),
            consumer=ClaimCheckConsumer(consumer, claims),
            traits=QueueTraits(ordering_keys=False, fair=False, max_body=256 * 1024, max_delay=MAX_DELAY),
        )


@pytest.mark.slow  # each session takes half a second to open
class TestSessions(MessagePublisherSuite, MessageConsumerSuite):
    """Queues that require sessions. Each test has its own consumer, since one holds the sessions it has accepted."""

    @pytest.fixture
    def clock(self, namespace: Namespace) -> PassingTime:
        return namespace.clock

    @pytest.fixture
    def transport(self, namespace: Namespace) -> Iterator[Transport]:
        consumer = namespace.consumer()
        claims = ClaimCheck(InMemoryPayloadStore(), _WHOLE)
        yield Transport(
            publisher=ClaimCheckPublisher(namespace.publisher, claims),
            consumer=ClaimCheckConsumer(consumer, claims),
            queues=(IN_ORDER, ALSO_IN_ORDER),
            traits=QueueTraits(oldest_first=False, fair=False, max_body=256 * 1024, max_delay=MAX_DELAY),
        )
        consumer.close()
