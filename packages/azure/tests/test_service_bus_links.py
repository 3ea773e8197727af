"""What lies in a link between two receives, and what a consumer holds of what it was handed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_azure.held import HeldMessages
from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_core.domain.delivery import Complete, Delivery, Settlement
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from packages.azure.tests.namespace import IN_ORDER, LOCK, PREFIX, Namespace

_QUEUE = QueueName("orders-in")
_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def consumer(namespace: Namespace) -> Iterator[ServiceBusMessageConsumer]:
    consumer = namespace.consumer()
    yield consumer
    consumer.close()


def _send(namespace: Namespace, name: str = "m-1", queue: QueueName = _QUEUE) -> None:
    message = Outgoing(
        queue=queue, tenant_id=TenantId("customer-a"), message_id=MessageId(name), body=name.encode()
    )
    namespace.publisher.publish([message])


def _receive(consumer: ServiceBusMessageConsumer, queue: QueueName = _QUEUE) -> list[Delivery]:
    return list(consumer.receive(queue, max_messages=10, visibility=LOCK))


def _sent_into_link(namespace: Namespace) -> None:
    """Wait until the broker has sent what there is to the one consumer, which asked for more than there was."""
    deadline = time.monotonic() + 10
    while {one.state for one in namespace.broker.messages(PREFIX + _QUEUE)} != {"locked"}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_message_whose_lock_ended_in_the_link_is_handed_out_once(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    assert _receive(consumer) == []  # of the ten that it asked for none came, and the broker owes them
    _send(namespace)
    _sent_into_link(namespace)
    namespace.clock.advance(LOCK)
    received = [*_receive(consumer), *_receive(consumer)]
    assert [one.body for one in received] == [b"m-1"]
    consumer.settle([Settlement(received[0], Complete())])
    assert namespace.broker.messages(PREFIX + _QUEUE) == ()


@pytest.mark.parametrize("queue", [_QUEUE, IN_ORDER])
def test_what_nobody_settles_is_not_held_for_ever(
    namespace: Namespace, consumer: ServiceBusMessageConsumer, queue: QueueName
) -> None:
    for round_ in range(3):
        _send(namespace, f"m-{round_}", queue)
        assert _receive(consumer, queue)
        namespace.broker.purge(PREFIX + queue)
        namespace.clock.advance(LOCK)
    _receive(consumer, queue)
    assert len(consumer.held) == 0


@given(times=st.lists(st.integers(1, 100), max_size=20), now=st.integers(0, 100))
def test_what_is_held_is_what_still_has_time(times: list[int], now: int) -> None:
    held: HeldMessages[int] = HeldMessages()
    for place, time_ in enumerate(times):
        held.keep(str(place), place, until=_NOON + timedelta(seconds=time_))
    forgotten = held.forget(_NOON + timedelta(seconds=now))
    assert sorted(forgotten) == [place for place, time_ in enumerate(times) if time_ <= now]
    assert len(held) == len(times) - len(forgotten)
    for place in range(len(times)):
        expected = None if place in forgotten else place
        assert held.find(str(place)) == expected
        assert held.take(str(place)) == expected
        assert held.take(str(place)) is None


def test_what_is_kept_again_has_its_new_time() -> None:
    held: HeldMessages[str] = HeldMessages()
    held.keep("receipt", "first", until=_NOON)
    held.keep("receipt", "second", until=_NOON + LOCK)
    assert held.forget(_NOON) == []
    assert held.find("receipt") == "second"
