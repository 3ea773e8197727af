"""Dead letters where SQS denies, throttles, is slow or hands out no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from api_exchange_aws.sqs.dead_letters import SqsDeadLetters
from api_exchange_aws.sqs.inspector import SqsQueueInspector
from api_exchange_aws.sqs.queues import Queues
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_testing import InMemoryLeases, RecordingObserver, VirtualClock, VirtualSleeper
from packages.aws.tests.answering import Answers, answering, error
from packages.aws.tests.ministack.server import REGION
from packages.aws.tests.operators import ORDERS

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNTS = {
    "ApproximateNumberOfMessages": "1",
    "ApproximateNumberOfMessagesNotVisible": "120000",
    "ApproximateNumberOfMessagesDelayed": "0",
}
SYSTEM = {"SentTimestamp": str(int(START.timestamp() * 1000)), "ApproximateReceiveCount": "1"}
ONE_LETTER: Answers = {
    "GetQueueUrl": (200, {"QueueUrl": "http://127.0.0.1/orders-dlq"}),
    "GetQueueAttributes": (200, {"Attributes": COUNTS}),
    "ReceiveMessage": (
        200,
        {"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "Body": "x", "Attributes": SYSTEM}]},
    ),
    "ChangeMessageVisibilityBatch": (200, {"Successful": [{"Id": "0"}], "Failed": []}),
}


def at(url: str, clock: VirtualClock, observer: RecordingObserver | None = None) -> SqsDeadLetters:
    client = boto3.client(
        "sqs",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
    queues = Queues(client, "shop-")
    return SqsDeadLetters(
        client,
        queues,
        SqsQueueInspector(client, queues),
        InMemoryLeases(),
        clock,
        VirtualSleeper(clock),
        RecordingObserver() if observer is None else observer,
    )


@pytest.mark.parametrize(
    ("answers", "kind", "said"),
    [
        (
            {"ReceiveMessage": error("AccessDenied")},
            PermanentError,
            "AWS denies sqs:ReceiveMessage on queue 'orders-dlq'",
        ),
        ({"GetQueueAttributes": error("AccessDenied")}, PermanentError, "AWS denies sqs:GetQueueAttributes"),
        ({"ReceiveMessage": error("RequestThrottled")}, TransientError, "throttles"),
        ({"GetQueueUrl": error("QueueDoesNotExist")}, PermanentError, "no queue 'shop-orders-dlq' in SQS"),
    ],
)
def test_what_sqs_refuses_is_told_in_our_words(answers: Answers, kind: type[Exception], said: str) -> None:
    clock = VirtualClock(START)
    with answering({**ONE_LETTER, **answers}) as url, pytest.raises(kind, match=said):
        list(at(url, clock).scan(ORDERS, until=START))


def test_where_sqs_hands_out_no_more_the_letters_until_then_are_shown() -> None:
    observer = RecordingObserver()
    with answering({**ONE_LETTER, "ReceiveMessage": error("OverLimit")}) as url:
        assert list(at(url, VirtualClock(START), observer).scan(ORDERS, until=START)) == []
    assert [(one.name, one.facts["about"]) for one in observer.events] == [("dead_letters.unseen", 120_001)]


def test_a_look_that_takes_longer_than_letters_are_hidden_ends() -> None:
    class Slow(VirtualClock):
        def now(self) -> datetime:
            self.advance(timedelta(minutes=1))
            return super().now()

    with answering(ONE_LETTER) as url, pytest.raises(TransientError, match="could not be gone through"):
        list(at(url, Slow(START)).scan(ORDERS, until=START))


def test_sqs_out_of_reach_is_transient() -> None:
    with pytest.raises(TransientError, match="sqs:GetQueueUrl on queue 'orders-dlq'"):
        list(at("http://127.0.0.1:9", VirtualClock(START)).scan(ORDERS, until=START))
