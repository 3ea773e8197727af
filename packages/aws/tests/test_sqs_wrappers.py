"""Messages that come by way of SNS and EventBridge, and strangers that come the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from api_exchange_aws.sqs.wrappers import unwrapped
from api_exchange_core import Exchange, Message, ProcessingResult, ProcessorContext, ProcessorInterface
from api_exchange_core.domain.envelope import decode, encode
from api_exchange_core.domain.names import MessageId, TenantId
from packages.aws.tests.deployment import PREFIX, Deployment, sqlite
from packages.aws.tests.ministack.server import ACCOUNT, REGION, Ministack

MESSAGE = Message(
    id=MessageId("m-1"),
    tenant_id=TenantId("customer-a"),
    source="/erp",
    type="order",
    payload={"id": "o-1", "total": 12.5, "note": "grün 🚚"},
    time=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="c-1",
)


class Take(ProcessorInterface):
    def __init__(self) -> None:
        self.seen: list[Message] = []

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.seen.append(message)
        return ProcessingResult.create_success()


@pytest.fixture
def take() -> Take:
    return Take()


@pytest.fixture
def deployed(take: Take, ministack: Ministack, tmp_path: Path) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("take-orders", "orders-in", take)
    deployment = Deployment.of(exchange, ministack, sqlite(tmp_path))
    deployment.create_queues("orders-in")
    yield deployment
    deployment.container.engine().dispose()


def arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}{queue}"


def publish(aws: Ministack, text: str) -> None:
    """By a topic that the queue subscribes to."""
    sns = aws.client("sns")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("orders-in"))
    sns.publish(TopicArn=topic, Message=text)


def test_a_message_that_sns_hands_on_is_handled(
    deployed: Deployment, ministack: Ministack, take: Take
) -> None:
    publish(ministack, encode(MESSAGE).decode())
    deployed.poll("orders-in")
    assert take.seen == [MESSAGE]


def test_a_message_that_eventbridge_hands_on_is_handled(
    deployed: Deployment, ministack: Ministack, take: Take
) -> None:
    events = ministack.client("events")
    events.put_rule(Name="orders", EventPattern=json.dumps({"source": ["erp"]}))
    events.put_targets(Rule="orders", Targets=[{"Id": "queue", "Arn": arn("orders-in")}])
    events.put_events(Entries=[{"Source": "erp", "DetailType": "order", "Detail": encode(MESSAGE).decode()}])
    deployed.poll("orders-in")
    assert take.seen == [MESSAGE]


def test_what_a_stranger_publishes_is_a_dead_letter_as_it_came(
    deployed: Deployment, ministack: Ministack, take: Take
) -> None:
    publish(ministack, '{"order": 7}')
    (came,) = deployed.poll("orders-in")
    assert json.loads(came)["Message"] == '{"order": 7}'
    assert (take.seen, dict(deployed.depths())) == ([], {"orders-in-dlq": 1})


def test_a_message_that_tells_of_topics_is_no_wrapper() -> None:
    told: dict[str, JsonValue] = {"TopicArn": "t", "Type": "Notification", "detail-type": "d"}
    body = encode(replace(MESSAGE, payload=told))
    assert unwrapped(body) is body


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.sampled_from([b'"TopicArn"', b'{"detail-type":1}', b'{"TopicArn":['])
)
def test_whatever_else_comes_stays_as_it_is(body: bytes) -> None:
    assert unwrapped(body) == body


def test_numbers_come_through_eventbridge_as_they_are() -> None:
    wrapped = {"detail-type": "order", "source": "erp", "detail": json.loads(encode(MESSAGE))}
    assert decode(unwrapped(json.dumps(wrapped).encode())) == MESSAGE
