"""Sessions in a consumer: what the suites of the ports do not ask about order, turns and waiting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.sessions import MOST_WAITING, TURN, SessionSource
from api_exchange_core.domain.delivery import Complete, DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from packages.azure.tests.namespace import IN_ORDER, LOCK, PREFIX, Namespace

pytestmark = pytest.mark.slow  # each session takes half a second to open

_HALF = LOCK / 2
_AT_ONCE = timedelta(0)


@pytest.fixture
def consumer(namespace: Namespace) -> Iterator[ServiceBusMessageConsumer]:
    consumer = namespace.consumer()
    yield consumer
    consumer.close()


def _send(namespace: Namespace, *names: str, key: str = "order-1") -> None:
    namespace.publisher.publish(
        [
            Outgoing(
                queue=IN_ORDER,
                tenant_id=TenantId("customer-a"),
                message_id=MessageId(name),
                body=name.encode(),
                ordering_key=key,
            )
            for name in names
        ]
    )


def _receive(consumer: ServiceBusMessageConsumer, most: int = 10) -> list[Delivery]:
    return list(consumer.receive(IN_ORDER, max_messages=most, visibility=LOCK))


def _end(consumer: ServiceBusMessageConsumer, one: Delivery, ending: Complete | Retry | Defer) -> None:
    consumer.settle([Settlement(one, ending)])


def test_the_messages_of_a_key_come_one_after_the_other(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    _send(namespace, "a", "b", "c")
    bodies = []
    while received := _receive(consumer):
        (delivery,) = received
        bodies.append(delivery.body)
        _end(consumer, delivery, Complete())
    assert bodies == [b"a", b"b", b"c"]


def test_one_that_is_retried_at_once_or_later_stays_before_those_behind_it_and_counts(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    _send(namespace, "a", "b")
    for count, ending in ((1, Retry(_AT_ONCE)), (2, Retry(_HALF)), (3, Complete())):
        (delivery,) = _receive(consumer)
        assert (delivery.body, delivery.receive_count) == (b"a", count)
        _end(consumer, delivery, ending)
        if ending == Retry(_HALF):
            assert _receive(consumer) == []
            namespace.clock.advance(_HALF)
    assert [one.body for one in _receive(consumer)] == [b"b"]


def test_a_deferral_spends_no_attempt_and_its_old_receipt_is_worthless(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    _send(namespace, "a", "b")
    (first,) = _receive(consumer)
    _end(consumer, first, Defer(_HALF))
    namespace.clock.advance(_HALF)
    (again,) = _receive(consumer)
    assert (again.body, again.receive_count) == (b"a", 1)
    _end(consumer, first, Complete())
    assert len(namespace.broker.messages(PREFIX + IN_ORDER)) == 2
    _end(consumer, again, Complete())
    assert [one.body for one in _receive(consumer)] == [b"b"]


def test_a_wait_that_is_longer_than_a_lock_is_kept_while_somebody_receives(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    _send(namespace, "a", "b")
    (delivery,) = _receive(consumer)
    _end(consumer, delivery, Defer(2 * LOCK))
    for _ in range(3):
        namespace.clock.advance(_HALF)
        assert _receive(consumer) == []
    namespace.clock.advance(_HALF)
    assert [(one.body, one.receive_count) for one in _receive(consumer)] == [(b"a", 1)]


def test_a_session_gives_way_after_its_turn(namespace: Namespace) -> None:
    names = [f"many-{number}" for number in range(6)]
    _send(namespace, *names[:3], key="many")
    _send(namespace, "few", key="few")
    _send(namespace, *names[3:], key="many")
    source = _source(namespace, turn=2)
    bodies = []
    for _ in range(7):
        (one,) = source.receive(1, namespace.clock.now())
        bodies.append(one.received.body.decode())
        one.link.complete(one.message)
        source.ended(one)
    source.close()
    assert [body for body in bodies if body != "few"] == names
    assert bodies.index("few") <= 4


def test_when_too_many_wait_those_that_are_due_first_come_early(namespace: Namespace) -> None:
    source = _source(namespace, most_waiting=1)
    for key, wait in (("late", _HALF), ("soon", _HALF / 2)):
        _send(namespace, key, key=key)
        (one,) = source.receive(1, namespace.clock.now())
        source.hold(one, until=namespace.clock.now() + wait, counts=False)
    handed = source.receive(10, namespace.clock.now())
    source.close()
    assert [one.received.body for one in handed] == [b"soon"]


def _source(namespace: Namespace, *, turn: int = TURN, most_waiting: int = MOST_WAITING) -> SessionSource:
    wait = timedelta(seconds=0.25)
    return SessionSource(namespace.client, IN_ORDER, PREFIX + IN_ORDER, wait, turn, most_waiting)


def test_the_end_of_a_consumer_gives_all_back_uncounted(namespace: Namespace) -> None:
    _send(namespace, "out", key="out")
    _send(namespace, "waits", key="waits")
    ending = namespace.consumer()
    received = {one.body: one for one in _receive(ending)}
    _end(ending, received[b"waits"], Defer(_HALF))
    ending.close()
    successor = namespace.consumer()
    counts = {one.body: one.receive_count for one in _receive(successor)}
    successor.close()
    assert counts == {b"out": 1, b"waits": 1}


def test_two_consumers_never_have_one_session(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    _send(namespace, "a", "b")
    other = namespace.consumer()
    (delivery,) = _receive(consumer)
    assert _receive(other) == []
    _end(consumer, delivery, Retry(_HALF))
    assert _receive(other) == []
    other.close()


def test_what_may_not_be_buried_gives_its_session_back(
    namespace: Namespace, consumer: ServiceBusMessageConsumer
) -> None:
    _send(namespace, "a", "b")
    (delivery,) = _receive(consumer)
    namespace.broker.faults.throttle(1)
    with pytest.raises(TransientError, match="throttles"):
        consumer.settle([Settlement(delivery, DeadLetter(b"letter", reason="dead"))])
    assert [(one.body, one.receive_count) for one in _receive(consumer)] == [(b"a", 1)]
