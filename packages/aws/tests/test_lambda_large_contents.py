"""Messages whose contents are kept in S3, from the publisher through SQS and Lambda's handler to the processor."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from dependency_injector import providers
from typing_extensions import override

from api_exchange_aws import create_lambda_handler
from api_exchange_aws.containers import aws_container
from api_exchange_aws.s3.payload_store import S3PayloadStore
from api_exchange_aws.settings import AwsSettings
from api_exchange_aws.sqs.consumer import SqsMessageConsumer
from api_exchange_aws.sqs.publisher import SqsMessagePublisher
from api_exchange_core import (
    DeferError,
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryableError,
    RetryPolicy,
    TransientError,
)
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.domain.claim_check import PayloadClaim, claim_in
from api_exchange_core.domain.envelope import decode_failure
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.payload_store import PayloadStore
from packages.aws.tests.deployment import PREFIX, Deployment, sqlite
from packages.aws.tests.ministack.server import Ministack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TENANT = TenantId("customer-a")
BUCKET = "shop-contents"
LIMIT = 16 * 1024
LARGE = {"text": "x" * 50_000}
A_DAY = timedelta(days=1)
A_MINUTE = timedelta(minutes=1)


class Step(ProcessorInterface):
    """Remembers what it was handed, and fails as it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, int]] = []
        self.error: Exception | None = None

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.seen.append((message.payload, context.attempt))
        if self.error is not None:
            raise self.error
        return ProcessingResult.create_success()


@pytest.fixture
def step() -> Step:
    return Step()


@pytest.fixture
def s3(ministack: Ministack) -> S3Client:
    client: S3Client = ministack.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture
def deployed(step: Step, ministack: Ministack, s3: S3Client, tmp_path: Path) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=[TENANT])
    policy = RetryPolicy(max_attempts=3, base_delay=A_MINUTE, max_delay=timedelta(hours=12))
    exchange.queue("take-orders", "orders", step, retry=policy)
    deployment = Deployment.of(
        exchange, ministack, sqlite(tmp_path), payload_bucket=BUCKET, message_limit=LIMIT
    )
    deployment.create_queues("orders")
    yield deployment
    deployment.container.engine().dispose()


def queued(deployed: Deployment, queue: str) -> list[dict[str, Any]]:
    """The messages of a queue as SQS has them."""
    url = deployed.client.get_queue_url(QueueName=PREFIX + queue)["QueueUrl"]
    answer = deployed.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [dict(message) for message in answer.get("Messages", [])]


def kept(s3: S3Client) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


class TakesNothing(S3PayloadStore):
    """Gives what was kept before."""

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        raise TransientError("the bucket takes nothing")


def out_of_reach() -> PayloadStore:
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
    return S3PayloadStore(client, BUCKET)


def use(deployed: Deployment, payloads: PayloadStore) -> None:
    """Give the handler, and nobody else, another store of contents."""
    with deployed.container.claims.override(providers.Object(ClaimCheck(payloads, LIMIT))):
        deployed.handler = create_lambda_handler(deployed.exchange, container=deployed.container)


def test_a_large_message_is_handled_whole_while_its_small_envelope_is_what_was_queued(
    deployed: Deployment, step: Step, s3: S3Client
) -> None:
    deployed.send("orders", LARGE)
    [message] = queued(deployed, "orders")
    claim = claim_in(message["Body"].encode())
    assert claim is not None
    assert len(message["Body"]) < 1_000
    assert kept(s3) == [f"customer-a/{claim.digest}"]
    deployed.poll("orders")
    assert [payload for payload, _ in step.seen] == [LARGE]
    assert deployed.depths() == {}


def test_a_small_message_travels_whole(deployed: Deployment, step: Step, s3: S3Client) -> None:
    deployed.send("orders", "small")
    deployed.poll("orders")
    assert (step.seen, kept(s3)) == ([("small", 1)], [])


@pytest.mark.parametrize("damaged", [False, True])
def test_a_message_whose_content_is_gone_or_damaged_is_dead_lettered_with_its_claim(
    deployed: Deployment, step: Step, s3: S3Client, damaged: bool
) -> None:
    deployed.send("orders", LARGE)
    deployed.send("orders", "small")
    [key] = kept(s3)
    if damaged:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"something else")
    else:
        s3.delete_object(Bucket=BUCKET, Key=key)
    deployed.poll("orders")
    [letter] = queued(deployed, "orders-dlq")
    failure = decode_failure(letter["Body"].encode())
    assert failure is not None
    assert "kept apart" in failure.reason
    came_in = b64decode(json.loads(letter["Body"])["data_base64"])
    claim = claim_in(came_in)
    assert claim is not None
    assert key.endswith(claim.digest)
    assert [payload for payload, _ in step.seen] == ["small"], "what is beside it goes on"
    assert QueueName("orders") not in deployed.depths()


def test_while_s3_is_out_of_reach_messages_wait_and_no_attempt_is_spent(
    deployed: Deployment, step: Step
) -> None:
    deployed.send("orders", LARGE)
    deployed.send("orders", "small")
    reaching = deployed.handler
    use(deployed, out_of_reach())
    deployed.poll("orders")
    assert step.seen == [("small", 1)]
    assert [one.name for one in deployed.observer.events if "content" in one.name] == ["content.unreachable"]
    deployed.handler = reaching
    deployed.clock.advance(A_MINUTE)
    deployed.poll("orders")
    assert step.seen == [("small", 1), (LARGE, 1)]


@pytest.mark.parametrize(
    ("error", "wait", "attempt"),
    [
        (DeferError("later", delay=A_MINUTE), A_MINUTE, 1),
        (RetryableError("later", retry_after=timedelta(hours=11, minutes=30)), A_DAY, 2),
    ],
)
def test_a_copy_of_a_large_message_is_as_small_as_the_message_was(
    deployed: Deployment, step: Step, error: Exception, wait: timedelta, attempt: int
) -> None:
    deployed.send("orders", LARGE)
    step.error = error
    deployed.poll("orders")
    step.error = None
    deployed.clock.advance(wait)
    assert len(deployed.poll("orders")[0]) < 1_000
    assert step.seen == [(LARGE, 1), (LARGE, attempt)]


def test_the_dead_letter_of_a_large_message_fits_its_queue_and_is_whole_when_it_is_read(
    deployed: Deployment, step: Step, s3: S3Client
) -> None:
    deployed.send("orders", LARGE)
    step.error = PermanentError("no such order")
    deployed.poll("orders")
    [letter] = queued(deployed, "orders-dlq")
    assert len(letter["Body"]) < LIMIT
    assert [message.payload for message in deployed.messages("orders-dlq")] == [LARGE]
    assert len(kept(s3)) == 1


def test_a_letter_that_finds_no_place_for_its_content_leaves_its_message_where_it_is(
    deployed: Deployment, step: Step, s3: S3Client
) -> None:
    use(deployed, TakesNothing(s3, BUCKET))
    deployed.send("orders", LARGE)
    step.error = PermanentError("no such order")
    deployed.poll("orders")
    assert queued(deployed, "orders-dlq") == []
    assert deployed.depths() == {QueueName("orders"): 1}
    assert [one.name for one in deployed.observer.events if "settle" in one.name] == ["settle.failed"]


def test_what_s3_denies_is_mended_by_somebody_and_no_message_is_lost_to_it(ministack: Ministack) -> None:
    client = ministack.client("s3")
    with Stubber(client) as stub:
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
        with pytest.raises(
            TransientError, match=r"denies s3:GetObject on bucket 'shop-contents'.*s3:ListBucket"
        ):
            S3PayloadStore(client, BUCKET).get(TENANT, PayloadClaim.to(b"1"))


def test_without_a_bucket_messages_travel_whole() -> None:
    container = aws_container(
        Exchange("shop"), AwsSettings.model_validate({"database_url": "postgresql://h/n"})
    )
    container.sqs.override(providers.Object(None))
    assert isinstance(container.publisher(), SqsMessagePublisher)
    assert isinstance(container.consumer(), SqsMessageConsumer)
