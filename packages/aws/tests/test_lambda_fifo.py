"""FIFO queues on Lambda: nothing overtakes what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

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
)
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from packages.aws.tests.deployment import Deployment, sqlite
from packages.aws.tests.ministack.server import Ministack

QUEUE = QueueName("movements")


class Book(ProcessorInterface):
    """Books what comes; raises what a test has said, once for each time it was said."""

    def __init__(self) -> None:
        self.booked: list[str] = []
        self.errors: dict[str, list[Exception]] = {}

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        name = str(message.payload)
        if self.errors.get(name):
            raise self.errors[name].pop()
        self.booked.append(name)
        return ProcessingResult.create_success()


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def deployed(book: Book, ministack: Ministack, tmp_path: Path) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("book", QUEUE, book, retry=RetryPolicy(max_attempts=10))
    deployment = Deployment.of(exchange, ministack, sqlite(tmp_path))
    deployment.create_queues(QUEUE, fifo=True)
    yield deployment
    deployment.container.engine().dispose()


def send(deployed: Deployment, name: str, *, key: str | None, delay: timedelta = timedelta(0)) -> None:
    tenant = TenantId("customer-a")
    message = Message(
        id=MessageId(name),
        tenant_id=tenant,
        source="/test",
        type="movement",
        payload=name,
        time=deployed.clock.now(),
        correlation_id=name,
    )
    outgoing = Outgoing(
        queue=QUEUE,
        tenant_id=tenant,
        message_id=message.id,
        body=encode(message),
        ordering_key=key,
        delay=delay,
    )
    deployed.container.publisher().publish([outgoing])


@pytest.mark.parametrize(
    "error",
    [RetryableError("no", retry_after=timedelta(minutes=1)), DeferError("no", delay=timedelta(minutes=1))],
    ids=["retry", "defer"],
)
def test_what_comes_back_holds_up_the_later_ones_of_its_key_and_no_other(
    deployed: Deployment, book: Book, error: Exception
) -> None:
    for name in ("a1", "a2", "a3"):
        send(deployed, name, key="account-a")
    send(deployed, "b1", key="account-b")
    send(deployed, "free", key=None)
    book.errors["a2"] = [error]
    assert len(deployed.poll(QUEUE)) == 5
    assert sorted(book.booked) == ["a1", "b1", "free"]
    assert deployed.poll(QUEUE) == [], "nothing of the key is handed out while one of it waits"
    deployed.clock.advance(timedelta(minutes=1))
    deployed.poll(QUEUE)
    assert [name for name in book.booked if name.startswith("a")] == ["a1", "a2", "a3"]
    assert deployed.depths() == {}


def test_a_dead_letter_lets_the_later_ones_of_its_key_through_in_the_same_batch(
    deployed: Deployment, book: Book
) -> None:
    for name in ("a1", "a2", "a3"):
        send(deployed, name, key="account-a")
    book.errors["a2"] = [PermanentError("never")]
    deployed.poll(QUEUE)
    assert book.booked == ["a1", "a3"]
    assert deployed.depths() == {"movements-dlq": 1}


def test_a_deferral_of_a_message_without_key_spends_no_attempt(deployed: Deployment, book: Book) -> None:
    send(deployed, "free", key=None)
    book.errors["free"] = [DeferError("later", delay=timedelta(minutes=1)) for _ in range(4)]
    for _ in range(5):
        deployed.poll(QUEUE)
        deployed.clock.advance(timedelta(minutes=1))
    assert book.booked == ["free"]
    assert {summary.attempt for summary in deployed.observer.summaries} == {1}


def test_a_delay_holds_up_the_later_ones_of_its_key_and_counts_as_no_attempt(
    deployed: Deployment, book: Book
) -> None:
    send(deployed, "a1", key="account-a", delay=timedelta(hours=30))
    send(deployed, "a2", key="account-a")
    for _ in range(30):
        deployed.poll(QUEUE)
        deployed.clock.advance(timedelta(hours=1))
    assert book.booked == []
    deployed.poll(QUEUE)
    deployed.poll(QUEUE)
    assert book.booked == ["a1", "a2"]
    assert deployed.observer.summaries[0].attempt == 1


def test_the_same_message_sent_twice_within_minutes_is_one(deployed: Deployment) -> None:
    send(deployed, "a1", key="account-a")
    send(deployed, "a1", key="account-a")
    assert deployed.depths() == {QUEUE: 1}
