"""The queues of SQS pass the suites that every transport passes, on a stand-in whose clock can be advanced."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from api_exchange_aws.s3.payload_store import S3PayloadStore
from api_exchange_aws.sqs.consumer import SqsMessageConsumer
from api_exchange_aws.sqs.dead_letters import SqsDeadLetters
from api_exchange_aws.sqs.inspector import SqsQueueInspector
from api_exchange_aws.sqs.publisher import SqsMessagePublisher
from api_exchange_aws.sqs.queues import Queues
from api_exchange_aws.sqs.settling import Settling
from api_exchange_aws.sqs.wire import MAX_MESSAGE
from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_testing import InMemoryLeases, RecordingObserver
from api_exchange_testing.conformance import (
    DeadLettersSuite,
    MessageConsumerSuite,
    MessagePublisherSuite,
    PassingTime,
    QueueInspectorSuite,
    QueueTraits,
    Transport,
)
from packages.aws.tests.deployment import PREFIX, ServiceClock
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.stand_in import REGION, StandIn

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def transport_of(client: SQSClient, clock: Clock, traits: QueueTraits) -> Transport:
    queues = Queues(client, PREFIX)
    return Transport(
        publisher=SqsMessagePublisher(client, queues, clock),
        consumer=SqsMessageConsumer(client, queues, clock, Settling(client, queues, clock)),
        inspector=SqsQueueInspector(client, queues),
        traits=traits,
    )


def standard(client: SQSClient, clock: Clock) -> Transport:
    for name in ("orders-in", "orders-in-dlq", "orders-out", "orders-out-dlq"):
        client.create_queue(QueueName=PREFIX + name)
    traits = QueueTraits(
        oldest_first=False,
        ordering_keys=False,
        fair=False,
        receipts_expire=False,
        max_body=MAX_MESSAGE,
        max_delay=MAX_DELAY,
    )
    return transport_of(client, clock, traits)


def fifo(client: SQSClient, clock: Clock) -> Transport:
    for name in ("orders-in", "orders-in-dlq", "orders-out", "orders-out-dlq"):
        client.create_queue(QueueName=f"{PREFIX}{name}.fifo", Attributes={"FifoQueue": "true"})
    traits = QueueTraits(
        # Twice as long as SQS remembers ids: the suites send the same ones again.
        unit=timedelta(minutes=10),
        fair=False,
        receipts_expire=False,
        max_body=MAX_MESSAGE,
        max_delay=MAX_DELAY,
    )
    return transport_of(client, clock, traits)


class _SqsSuite(MessagePublisherSuite, MessageConsumerSuite, QueueInspectorSuite):
    @pytest.fixture
    def clock(self, aws: StandIn) -> PassingTime:
        return ServiceClock(aws)

    @pytest.fixture
    def client(self, aws: StandIn) -> SQSClient:
        client: SQSClient = aws.client("sqs")
        return client


class TestStandardQueue(_SqsSuite):
    @pytest.fixture
    def transport(self, client: SQSClient, clock: PassingTime) -> Transport:
        return standard(client, clock)


class TestFifoQueue(_SqsSuite):
    @pytest.fixture
    def transport(self, client: SQSClient, clock: PassingTime) -> Transport:
        return fifo(client, clock)


class _DeadLetters(DeadLettersSuite):
    """On ministack alone: it takes thousands of requests, for which moto is slow."""

    @pytest.fixture
    def clock(self, ministack: Ministack) -> PassingTime:
        return ServiceClock(ministack)

    @pytest.fixture
    def client(self, ministack: Ministack) -> SQSClient:
        client: SQSClient = ministack.client("sqs")
        return client

    @pytest.fixture
    def dead_letters(self, client: SQSClient, clock: PassingTime) -> DeadLetters:
        queues = Queues(client, PREFIX)
        return SqsDeadLetters(
            client,
            queues,
            SqsQueueInspector(client, queues),
            InMemoryLeases(),
            clock,
            SystemSleeper(),
            RecordingObserver(),
            wait=timedelta(0),
        )


class TestStandardDeadLetters(_DeadLetters):
    @pytest.fixture
    def transport(self, client: SQSClient, clock: PassingTime) -> Transport:
        return standard(client, clock)


class TestFifoDeadLetters(_DeadLetters):
    @pytest.fixture
    def transport(self, client: SQSClient, clock: PassingTime) -> Transport:
        return fifo(client, clock)


class TestQueueWithClaimCheck(MessagePublisherSuite, MessageConsumerSuite):
    """Contents in S3 make a queue that takes little a queue for messages of any size."""

    @pytest.fixture
    def clock(self, ministack: Ministack) -> PassingTime:
        return ServiceClock(ministack)

    @pytest.fixture
    def transport(self, ministack: Ministack, clock: PassingTime) -> Transport:
        client, s3 = ministack.client("sqs"), ministack.client("s3")
        s3.create_bucket(Bucket="contents", CreateBucketConfiguration={"LocationConstraint": REGION})
        for name in ("orders-in", "orders-in-dlq", "orders-out", "orders-out-dlq"):
            client.create_queue(QueueName=PREFIX + name)
        claims = ClaimCheck(S3PayloadStore(s3, "contents"), limit=16 * 1024)
        traits = QueueTraits(
            oldest_first=False, ordering_keys=False, fair=False, receipts_expire=False, max_delay=MAX_DELAY
        )
        small = transport_of(client, clock, traits)
        return replace(
            small,
            publisher=ClaimCheckPublisher(small.publisher, claims),
            consumer=ClaimCheckConsumer(small.consumer, claims),
            inspector=None,
        )
