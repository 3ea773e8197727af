"""Batches of SQS on Lambda: which messages are done, and when the others come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api_exchange_core import (
    DeclarationError,
    DeferError,
    Exchange,
    Exclusive,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
)
from api_exchange_core.domain.envelope import decode_failure, encode
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing.events import event
from packages.aws.tests.deployment import Context, Deployment, sqlite
from packages.aws.tests.ministack.server import Ministack

TENANTS = ["customer-a", "customer-b"]


class Step(ProcessorInterface):
    """Does with each payload what a test has said, and remembers what it was called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object, int]] = []
        self.does: dict[object, Callable[[ProcessorContext], None]] = {}

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.seen.append((message.tenant_id, message.payload, context.attempt))
        act = self.does.get(message.payload) if isinstance(message.payload, str) else None
        if act is not None:
            act(context)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-out"))
        return result


def failing(error: Exception) -> Callable[[ProcessorContext], None]:
    def fail(_: ProcessorContext) -> None:
        raise error

    return fail


def message_of(name: str) -> Message:
    return Message(
        id=MessageId(name),
        tenant_id=TenantId(TENANTS[0]),
        source="/test",
        type="order",
        payload=name,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id=name,
    )


@pytest.fixture
def step() -> Step:
    return Step()


@pytest.fixture
def deployed(step: Step, ministack: Ministack, tmp_path: Path) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=TENANTS)
    policy = RetryPolicy(max_attempts=3, base_delay=timedelta(seconds=30), max_delay=timedelta(seconds=30))
    exchange.queue("take-orders", "orders-in", step, retry=policy)
    exchange.queue("pay", "payments", step, exclusive=Exclusive(lease=timedelta(minutes=5)))
    deployment = Deployment.of(exchange, ministack, sqlite(tmp_path))
    deployment.create_queues("orders-in", "orders-out", "payments")
    yield deployment
    deployment.container.engine().dispose()


def test_a_message_that_succeeds_is_done_and_its_output_sent(deployed: Deployment, step: Step) -> None:
    deployed.send("orders-in", "a")
    deployed.poll("orders-in")
    assert step.seen == [("customer-a", "a", 1)]
    assert [message.payload for message in deployed.messages("orders-out")] == ["a"]
    assert QueueName("orders-in") not in deployed.depths()


def test_one_failure_of_a_batch_comes_back_alone_after_its_backoff_and_as_the_next_attempt(
    deployed: Deployment, step: Step
) -> None:
    for name in ("a", "bad", "c"):
        deployed.send("orders-in", name)
    step.does["bad"] = failing(RetryableError("no answer", retry_after=timedelta(seconds=40)))
    deployed.poll("orders-in")
    assert deployed.depths()[QueueName("orders-in")] == 1
    assert deployed.poll("orders-in") == []
    deployed.clock.advance(timedelta(seconds=40))
    step.does.clear()
    deployed.poll("orders-in")
    assert [one for one in step.seen if one[1] == "bad"] == [
        ("customer-a", "bad", 1),
        ("customer-a", "bad", 2),
    ]
    assert sorted(str(message.payload) for message in deployed.messages("orders-out")) == ["a", "bad", "c"]


def test_attempts_that_are_used_up_end_in_a_dead_letter_with_its_failure(
    deployed: Deployment, step: Step
) -> None:
    deployed.send("orders-in", "bad")
    step.does["bad"] = failing(RetryableError("no answer"))
    for _ in range(3):
        deployed.poll("orders-in")
        deployed.clock.advance(timedelta(seconds=30))
    assert deployed.depths() == {"orders-in-dlq": 1}
    [letter] = deployed.container.consumer().receive(
        QueueName("orders-in-dlq"), max_messages=1, visibility=timedelta(seconds=30)
    )
    failure = decode_failure(letter.body)
    assert failure is not None
    assert (failure.attempts, failure.queue, len(failure.history)) == (3, "orders-in", 3)


def test_a_permanent_failure_is_dead_lettered_at_once(deployed: Deployment, step: Step) -> None:
    deployed.send("orders-in", "bad")
    step.does["bad"] = failing(PermanentError("never"))
    deployed.poll("orders-in")
    assert deployed.depths() == {"orders-in-dlq": 1}


def test_a_deferral_spends_no_attempt_however_often(deployed: Deployment, step: Step) -> None:
    deployed.send("orders-in", "later")
    step.does["later"] = failing(DeferError("rate limit", delay=timedelta(minutes=20)))
    for _ in range(8):  # more than the attempts that there are
        deployed.poll("orders-in")
        deployed.clock.advance(timedelta(minutes=20))
    step.does.clear()
    deployed.poll("orders-in")
    assert [attempt for _, _, attempt in step.seen] == [1] * 9
    assert deployed.depths() == {"orders-out": 1}


def test_a_deferral_beyond_what_sqs_delays_comes_back_at_its_time_and_not_before(
    deployed: Deployment, step: Step
) -> None:
    deployed.send("orders-in", "later")
    step.does["later"] = failing(DeferError("closed on Sundays", delay=timedelta(hours=24)))
    deployed.poll("orders-in")
    for _ in range(24 * 4 - 1):
        deployed.clock.advance(timedelta(minutes=15))
        deployed.poll("orders-in")
    assert len(step.seen) == 1
    deployed.clock.advance(timedelta(minutes=15))
    deployed.poll("orders-in")
    assert [attempt for _, _, attempt in step.seen] == [1, 1]


def test_a_retry_beyond_what_sqs_hides_keeps_its_count(deployed: Deployment, step: Step) -> None:
    deployed.send("orders-in", "bad")
    step.does["bad"] = failing(RetryableError("closed", retry_after=timedelta(hours=36)))
    deployed.poll("orders-in")
    for _ in range(36):
        deployed.poll("orders-in")
        deployed.clock.advance(timedelta(hours=1))
    deployed.poll("orders-in")
    assert [attempt for _, _, attempt in step.seen] == [1, 2]


def test_what_has_not_begun_when_time_is_short_is_given_back_untouched(
    deployed: Deployment, step: Step
) -> None:
    for name in ("a", "b", "c"):
        deployed.send("orders-in", name)
    deployed.poll("orders-in", context=Context(lambda: 9_000 if step.seen else 60_000))
    assert len(step.seen) == 1
    outcomes = [summary.outcome for summary in deployed.observer.summaries]
    assert sorted(outcomes) == [Outcome.COMPLETED, Outcome.GIVEN_BACK, Outcome.GIVEN_BACK]
    deployed.poll("orders-in")
    assert sorted(step.seen) == [("customer-a", name, 1) for name in ("a", "b", "c")]


def test_of_many_messages_those_that_are_not_reached_go_back_the_first_of_them_untouched(
    deployed: Deployment, step: Step
) -> None:
    sender = deployed.container.publisher()
    bodies = [encode(message_of(f"m-{number}")) for number in range(320)]
    tenant = TenantId(TENANTS[0])
    sender.publish(
        [
            Outgoing(
                queue=QueueName("orders-in"), tenant_id=tenant, message_id=MessageId(f"m-{n}"), body=body
            )
            for n, body in enumerate(bodies)
        ]
    )

    def left() -> int:
        """Time is short after the first hundred, and over after the second."""
        if len(step.seen) < 100:
            return 60_000
        return 4_000 if any(one.name == "batch.given_back" for one in deployed.observer.events) else 9_000

    deployed.poll("orders-in", most=320, context=Context(left))
    assert len(step.seen) == 100
    assert deployed.depths() == {"orders-in": 220, "orders-out": 100}
    visible = deployed.container.consumer().receive(
        QueueName("orders-in"), max_messages=320, visibility=timedelta(minutes=30)
    )
    assert [delivery.receive_count for delivery in visible] == [1] * 100, "these were given back untouched"
    deployed.clock.advance(timedelta(minutes=15))
    others = deployed.container.consumer().receive(
        QueueName("orders-in"), max_messages=320, visibility=timedelta(minutes=30)
    )
    assert [delivery.receive_count for delivery in others] == [2] * 120, "for these there was no time"


def test_a_call_knows_when_it_must_be_done(deployed: Deployment, step: Step) -> None:
    deadlines = []
    step.does["a"] = lambda context: deadlines.append(context.deadline.at)
    deployed.send("orders-in", "a")
    before = deployed.clock.now()
    deployed.poll("orders-in", context=Context(lambda: 60_000))
    [deadline] = deadlines
    assert deadline is not None
    assert timedelta(seconds=50) <= deadline - before <= timedelta(seconds=55)


def test_tenants_of_one_batch_are_kept_apart(deployed: Deployment, step: Step) -> None:
    for number in range(4):
        deployed.send("orders-in", number, tenant=TENANTS[number % 2])
    deployed.poll("orders-in")
    assert sorted(tenant for tenant, _, _ in step.seen) == ["customer-a"] * 2 + ["customer-b"] * 2
    assert {message.tenant_id for message in deployed.messages("orders-out")} == set(TENANTS)


def test_a_message_that_comes_twice_takes_effect_once(deployed: Deployment, step: Step) -> None:
    deployed.send("orders-in", "a")
    url = deployed.container.queues()[QueueName("orders-in")].url
    [message] = deployed.client.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    deployed.client.send_message(QueueUrl=url, MessageBody=message["Body"])
    deployed.poll("orders-in")
    deployed.poll("orders-in")
    assert len(step.seen) == 1
    assert deployed.depths() == {"orders-out": 1}


def test_a_message_that_may_have_ended_its_process_is_handled_after_the_others_are_committed(
    deployed: Deployment, step: Step
) -> None:
    deployed.send("orders-in", "killer")
    url = deployed.container.queues()[QueueName("orders-in")].url
    for _ in range(3):  # what it did to three processes
        assert deployed.client.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    for name in ("a", "b"):
        deployed.send("orders-in", name)

    committed: list[Outcome] = []
    step.does["killer"] = lambda _: committed.extend(one.outcome for one in deployed.observer.summaries)
    deployed.poll("orders-in")
    assert committed == [Outcome.COMPLETED, Outcome.COMPLETED]


def test_an_exclusive_function_claims_its_messages(deployed: Deployment, step: Step) -> None:
    deployed.send("payments", "a")
    deployed.poll("payments")
    assert [payload for _, payload, _ in step.seen] == ["a"]
    assert QueueName("payments") not in deployed.depths()


def test_what_is_no_message_is_dead_lettered_with_its_bytes(deployed: Deployment) -> None:
    document = event("aws/sqs")
    records = document["Records"]
    assert isinstance(records, list)
    url = deployed.container.queues()[QueueName("orders-in")].url
    deployed.client.send_message(QueueUrl=url, MessageBody=records[1]["body"])
    deployed.poll("orders-in")
    assert deployed.depths() == {"orders-in-dlq": 1}


@pytest.mark.parametrize(
    ("document", "left"),
    [("aws/sqs", ["2e1424d4-f796-459a-8184-9c92662be6da"]), ("aws/sqs_fifo", [])],
)
def test_of_a_documented_event_what_succeeds_is_done_and_what_is_somebody_elses_by_now_is_left_to_them(
    deployed: Deployment, step: Step, document: str, left: list[str]
) -> None:
    """The receipts of a document are worthless, so that no dead letter may be sent for what is no message."""
    records: Any = event(document)["Records"]
    for record in records:
        record["eventSourceARN"] = record["eventSourceARN"].replace("orders-fetched", "shop-orders-in")
    answer = deployed.invoke({"Records": records})
    assert [one["itemIdentifier"] for one in answer["batchItemFailures"]] == left
    assert step.seen == [("customer-a", {"id": "o-1"}, 1)]
    assert deployed.depths() == {"orders-out": 1}


def test_a_queue_of_no_function_is_an_error_that_names_it(deployed: Deployment) -> None:
    document = event("aws/sqs")
    with pytest.raises(DeclarationError, match=r"'orders-fetched'.*'shop-'"):
        deployed.invoke(document)
    records = document["Records"]
    assert isinstance(records, list)
    for record in records:
        record["eventSourceARN"] = record["eventSourceARN"].replace("orders-fetched", "shop-orders-fetched")
    with pytest.raises(DeclarationError, match=r"queue 'orders-fetched'.*orders-in, payments"):
        deployed.invoke(document)


def test_a_dead_letter_without_its_queue_stays_where_it_is_and_is_told(
    deployed: Deployment, step: Step
) -> None:
    url = deployed.container.queues()[QueueName("orders-in-dlq")].url
    deployed.client.delete_queue(QueueUrl=url)
    deployed.send("orders-in", "bad")
    step.does["bad"] = failing(PermanentError("never"))
    deployed.poll("orders-in")
    assert deployed.depths() == {"orders-in": 1}
    [told] = [one for one in deployed.observer.events if one.name == "settle.failed"]
    assert "orders-in-dlq" in str(told.facts["reason"])
