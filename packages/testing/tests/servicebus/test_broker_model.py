"""Queues, locks, sessions and topics without a wire, by a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.servicebus import (
    Condition,
    CorrelationFilter,
    Queue,
    RefusedError,
    Subscription,
    Topic,
)
from api_exchange_testing.servicebus.model.message import Held, Message, State
from api_exchange_testing.servicebus.model.namespace import Namespace
from api_exchange_testing.servicebus.model.queue import MessageQueue

START = datetime(2026, 1, 1, tzinfo=UTC)
LOCK = timedelta(seconds=30)
TICK = timedelta(microseconds=1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def namespace(clock: VirtualClock) -> Namespace:
    return Namespace(
        [
            Queue("q", lock_duration=LOCK, max_delivery_count=2),
            Queue("dated", lock_duration=LOCK, dead_letter_on_expiry=True),
            Queue("s", lock_duration=LOCK, requires_session=True, max_delivery_count=3),
        ],
        [
            Topic(
                "events",
                (
                    Subscription("all"),
                    Subscription("none", filters=()),
                    Subscription(
                        "some", filters=(CorrelationFilter(to="x"), CorrelationFilter(properties={"n": 1}))
                    ),
                ),
                duplicate_window=timedelta(minutes=1),
            )
        ],
        clock=clock,
        new_token=uuid4,
    )


@pytest.fixture
def queue(namespace: Namespace) -> MessageQueue:
    return namespace.receivable("q")


def bodies(queue: MessageQueue) -> list[bytes]:
    return [held.message.body for held in queue.peek()]


def received(queue: MessageQueue) -> Held:
    held = queue.receive()
    assert held is not None
    return held


def token_of(held: Held) -> UUID:
    assert held.lock is not None
    return held.lock.token


def condition_of(call: Callable[[], object]) -> Condition:
    with pytest.raises(RefusedError) as refused:
        call()
    return refused.value.condition


def test_messages_come_in_the_order_in_which_they_were_sent(queue: MessageQueue) -> None:
    queue.put([Message(body=b"1"), Message(body=b"2")])
    assert [received(queue).message.body, received(queue).message.body] == [b"1", b"2"]
    assert queue.receive() is None


def test_a_released_message_is_next_again_and_an_abandoned_one_counted(queue: MessageQueue) -> None:
    queue.put([Message(body=b"1"), Message(body=b"2")])
    queue.release(token_of(received(queue)))
    first = received(queue)
    assert (first.message.body, first.delivery_count) == (b"1", 0)
    queue.abandon(token_of(first), {"note": "again"})
    again = received(queue)
    assert (again.message.body, again.delivery_count, again.message.properties) == (
        b"1",
        1,
        {"note": "again"},
    )


def test_a_lock_ends_when_its_time_is_over_and_not_before(queue: MessageQueue, clock: VirtualClock) -> None:
    queue.put([Message()])
    token = token_of(received(queue))
    clock.advance(LOCK - TICK)
    assert queue.receive() is None
    clock.advance(TICK)
    assert received(queue).delivery_count == 1
    assert condition_of(lambda: queue.complete(token)) is Condition.MESSAGE_LOCK_LOST


def test_renewal_is_for_all_or_none(queue: MessageQueue, clock: VirtualClock) -> None:
    queue.put([Message()])
    token = token_of(received(queue))
    clock.advance(LOCK / 2)
    assert condition_of(lambda: queue.renew([token, uuid4()])) is Condition.MESSAGE_LOCK_LOST
    assert queue.renew([token]) == [clock.now() + LOCK]
    clock.advance(LOCK - TICK)
    queue.complete(token)
    assert bodies(queue) == []


def test_a_renewed_lock_runs_out_too(queue: MessageQueue, clock: VirtualClock) -> None:
    queue.put([Message()])
    token = token_of(received(queue))
    clock.advance(LOCK / 2)
    queue.renew([token])
    clock.advance(LOCK / 2)
    assert queue.receive() is None
    clock.advance(LOCK / 2)
    assert received(queue).delivery_count == 1


def test_a_lock_that_runs_out_for_the_last_time_makes_a_dead_letter(
    namespace: Namespace, queue: MessageQueue, clock: VirtualClock
) -> None:
    queue.put([Message(body=b"x")])
    for _ in range(2):
        received(queue)
        clock.advance(LOCK)
    queue.pass_time()
    (dead,) = namespace.receivable("Q/$deadletterqueue").peek()
    assert (dead.source, dead.delivery_count) == ("q", 2)
    assert dead.message.properties["DeadLetterReason"] == "MaxDeliveryCountExceeded"


def test_a_dead_letter_is_handed_out_for_ever_and_not_dead_lettered_again(namespace: Namespace) -> None:
    namespace.receivable("q").put([Message()])
    namespace.receivable("q").dead_letter(token_of(received(namespace.receivable("q"))), reason="r")
    graves = namespace.receivable("q/$DeadLetterQueue")
    for _ in range(20):
        graves.abandon(token_of(received(graves)))
    token = token_of(received(graves))
    assert condition_of(lambda: graves.dead_letter(token)) is Condition.NOT_ALLOWED
    graves.complete(token)
    assert bodies(graves) == []


def test_a_deferred_message_stays_aside_whatever_becomes_of_its_lock(
    queue: MessageQueue, clock: VirtualClock
) -> None:
    queue.put([Message()])
    held = received(queue)
    queue.defer(token_of(held))
    assert queue.receive() is None
    (again,) = queue.deferred([held.sequence_number])
    assert condition_of(lambda: queue.deferred([held.sequence_number])) is Condition.MESSAGE_NOT_FOUND
    queue.release(token_of(again))
    assert queue.receive() is None
    assert queue.deferred([held.sequence_number], remove=True) == [again]
    assert bodies(queue) == []


def test_a_deferral_is_counted_and_a_number_asked_twice_is_one_message(queue: MessageQueue) -> None:
    queue.put([Message()])
    held = received(queue)
    queue.defer(token_of(held))
    assert held.delivery_count == 1
    (again,) = queue.deferred([held.sequence_number, held.sequence_number])
    queue.complete(token_of(again))
    assert bodies(queue) == []


def test_a_duplicate_is_forgotten_when_its_window_is_over(clock: VirtualClock) -> None:
    window = timedelta(minutes=1)
    queue = Namespace([Queue("once", duplicate_window=window)], [], clock=clock, new_token=uuid4).receivable(
        "once"
    )
    first = queue.put([Message(message_id="1"), Message(), Message()])
    assert first == [1, 2, 3]
    clock.advance(window - TICK)
    assert queue.put([Message(message_id="1")]) == [1]
    clock.advance(TICK)
    assert queue.put([Message(message_id="1")]) == [4]


def test_a_scheduled_message_gets_a_new_number_when_it_is_due(
    queue: MessageQueue, clock: VirtualClock
) -> None:
    (number,) = queue.put([Message(body=b"later", scheduled_at=START + LOCK)])
    queue.put([Message(body=b"now")])
    assert queue.next_alarm() == START + LOCK
    assert received(queue).message.body == b"now"
    clock.advance(LOCK - TICK)
    assert queue.receive() is None
    clock.advance(TICK)
    assert received(queue).sequence_number > number
    assert condition_of(lambda: queue.cancel([number])) is Condition.MESSAGE_NOT_FOUND


def test_time_to_live_begins_when_a_scheduled_message_is_due(
    queue: MessageQueue, clock: VirtualClock
) -> None:
    queue.put([Message(scheduled_at=START + 2 * LOCK, time_to_live=LOCK)])
    clock.advance(2 * LOCK)
    queue.pass_time()
    clock.advance(LOCK - TICK)
    assert len(bodies(queue)) == 1
    clock.advance(TICK)
    assert bodies(queue) == []


def test_a_locked_message_does_not_expire_but_does_not_come_back_either(
    namespace: Namespace, clock: VirtualClock
) -> None:
    dated = namespace.receivable("dated")
    dated.put([Message(time_to_live=LOCK / 2), Message(time_to_live=LOCK / 2)])
    done, late = received(dated), received(dated)
    clock.advance(LOCK - TICK)
    dated.complete(token_of(done))
    dated.abandon(token_of(late))
    assert bodies(dated) == []
    (dead,) = namespace.receivable("dated/$DeadLetterQueue").peek()
    assert dead.message.properties["DeadLetterReason"] == "TTLExpiredException"


def test_a_time_to_live_beyond_the_calendar_is_for_ever(queue: MessageQueue) -> None:
    queue.put([Message(time_to_live=timedelta.max)])
    assert queue.next_alarm() is None


def test_a_session_is_one_receivers_until_it_is_left_or_lost(
    namespace: Namespace, clock: VirtualClock
) -> None:
    queue = namespace.receivable("s")
    queue.put([Message(session_id="b"), Message(session_id="a"), Message(session_id="b")])
    first, second = queue.accept(None), queue.accept(None)
    assert first is not None
    assert second is not None
    assert (first.session_id, second.session_id, queue.accept(None)) == ("b", "a", None)
    assert condition_of(lambda: queue.accept("a")) is Condition.SESSION_TAKEN
    held = queue.receive(first)
    assert held is not None
    queue.leave(first)
    assert held.delivery_count == 0
    clock.advance(LOCK)
    assert condition_of(lambda: queue.sessions.renew("a")) is Condition.SESSION_LOCK_LOST
    assert queue.accept("a") is not None


def test_a_lost_session_counts_what_was_locked_in_it(namespace: Namespace, clock: VirtualClock) -> None:
    queue = namespace.receivable("s")
    queue.put([Message(session_id="a"), Message(session_id="a")])
    session = queue.accept("a")
    held = queue.receive(session)
    assert held is not None
    token = token_of(held)
    clock.advance(LOCK / 2)
    queue.sessions.renew("a")
    clock.advance(LOCK / 2)
    assert queue.receive(session) is not None
    clock.advance(LOCK / 2)
    assert condition_of(lambda: queue.complete(token)) is Condition.SESSION_LOCK_LOST
    assert [each.delivery_count for each in queue.peek()] == [1, 1]


def test_a_lost_session_gives_nothing_more(namespace: Namespace, clock: VirtualClock) -> None:
    queue = namespace.receivable("s")
    queue.put([Message(session_id="a")])
    lost = queue.accept("a")
    clock.advance(LOCK)
    assert queue.receive(lost) is None
    assert queue.take(lost) is None
    assert queue.receive(queue.accept("a")) is not None


def test_a_message_without_a_session_is_refused_with_its_whole_batch(namespace: Namespace) -> None:
    queue = namespace.receivable("s")
    assert condition_of(lambda: queue.put([Message(session_id="a"), Message()])) is Condition.NOT_ALLOWED
    assert bodies(queue) == []


def test_filters_choose_subscriptions_and_a_message_passes_once(namespace: Namespace) -> None:
    topic = namespace.destination("events")
    topic.put(
        [
            Message(body=b"1", system={"to": "x"}, properties={"n": 1}),
            Message(body=b"2", properties={"n": "1"}),
        ]
    )
    assert bodies(namespace.receivable("events/subscriptions/ALL")) == [b"1", b"2"]
    assert bodies(namespace.receivable("events/subscriptions/some")) == [b"1"]
    assert bodies(namespace.receivable("events/subscriptions/none")) == []


def test_a_topic_schedules_cancels_and_drops_duplicates(namespace: Namespace, clock: VirtualClock) -> None:
    topic, everything = namespace.destination("events"), namespace.receivable("events/subscriptions/all")
    due = Message(message_id="1", scheduled_at=START + LOCK)
    kept, gone = topic.put([due, replace(due, message_id="2")])
    assert topic.put([due]) == [kept]
    topic.cancel([gone])
    assert namespace.next_alarm() == START + LOCK
    clock.advance(LOCK)
    namespace.pass_time()
    assert [each.message.message_id for each in everything.peek()] == ["1"]
    assert condition_of(lambda: topic.cancel([kept])) is Condition.MESSAGE_NOT_FOUND


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ("absent", Condition.NOT_FOUND),
        ("events/Subscriptions/all", Condition.NOT_ALLOWED),
        ("q/$DeadLetterQueue", Condition.NOT_ALLOWED),
    ],
)
def test_what_cannot_be_sent_to_is_refused(namespace: Namespace, path: str, condition: Condition) -> None:
    assert condition_of(lambda: namespace.destination(path)) is condition


def test_what_is_sent_by_one_name_is_received_by_the_same_in_capitals(namespace: Namespace) -> None:
    namespace.destination("Q").put([Message()])
    assert [each.state for each in namespace.receivable("q").peek()] == [State.ACTIVE]


def test_a_transfer_dead_letter_queue_is_not_pretended(namespace: Namespace) -> None:
    path = "q/$Transfer/$DeadLetterQueue"
    assert condition_of(lambda: namespace.receivable(path)) is Condition.NOT_IMPLEMENTED


def test_settings_that_service_bus_would_not_take_are_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        Queue("$management")
    with pytest.raises(ValueError, match="lock duration"):
        Queue("q", lock_duration=timedelta(minutes=6))
    with pytest.raises(ValueError, match="at least once"):
        Queue("q", max_delivery_count=0)
    with pytest.raises(ValueError, match="more than nothing"):
        Queue("q", duplicate_window=timedelta(0))
    with pytest.raises(ValueError, match="twice"):
        Topic("t", (Subscription("a"), Subscription("A")))
    with pytest.raises(ValueError, match="SQL filters are not interpreted"):
        Subscription("a", filters=("colour = 'red'",))  # type: ignore[arg-type]  # what a caller might try
    with pytest.raises(ValueError, match="name of its own"):
        Namespace([Queue("q")], [Topic("Q")], clock=VirtualClock(START), new_token=uuid4)
