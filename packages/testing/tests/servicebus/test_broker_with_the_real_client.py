"""The client library of Azure, as it is, against the broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from azure.servicebus import (
    AutoLockRenewer,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from api_exchange_testing.servicebus import Queue, ServiceBusBroker

if TYPE_CHECKING:
    from packages.testing.tests.servicebus.conftest import Links

PATIENCE = 5.0
MOMENT = 0.2
LOCK = timedelta(minutes=1)


def await_that(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        threading.Event().wait(0.02)


def test_a_message_arrives_as_it_was_sent_and_is_gone_when_completed(
    broker: ServiceBusBroker, links: Links
) -> None:
    links.sender("q").send_messages(
        ServiceBusMessage(
            "grüß dich",
            message_id="m1",
            correlation_id="c1",
            content_type="text/plain",
            subject="greeting",
            to="you",
            reply_to="me",
            application_properties={"number": 7, "text": "ü", "yes": True, "part": 0.5, "bytes": b"raw"},
        )
    )
    message = links.receive_one("q")
    assert (str(message), message.message_id, message.correlation_id) == ("grüß dich", "m1", "c1")
    assert (message.content_type, message.subject) == ("text/plain", "greeting")
    assert (message.to, message.reply_to) == ("you", "me")
    assert message.application_properties == {
        b"number": 7,
        b"text": "ü".encode(),
        b"yes": True,
        b"part": 0.5,
        b"bytes": b"raw",
    }
    assert message.delivery_count == 0
    assert message.locked_until_utc is not None
    assert LOCK - timedelta(seconds=10) < message.locked_until_utc - datetime.now(UTC)
    links.receiver("q").complete_message(message)
    assert broker.messages("q") == ()


def test_bodies_of_values_and_of_several_sections_arrive(links: Links) -> None:
    links.sender("q").send_messages(AmqpAnnotatedMessage(value_body={"a": [1, None]}))
    links.sender("q").send_messages(AmqpAnnotatedMessage(data_body=[b"one", b"two"]))
    value, data = links.receive("q", 2)
    assert value.body == {b"a": [1, None]}
    assert list(data.body) == [b"one", b"two"]


def test_a_batch_is_as_many_messages(broker: ServiceBusBroker, links: Links) -> None:
    batch = links.sender("q").create_message_batch()
    for number in range(5):
        batch.add_message(ServiceBusMessage(f"b{number}", message_id=str(number)))
    links.sender("q").send_messages(batch)
    assert [each.body for each in broker.messages("q")] == [b"b0", b"b1", b"b2", b"b3", b"b4"]
    assert [str(each) for each in links.receive("q", 5)] == ["b0", "b1", "b2", "b3", "b4"]


def test_an_abandoned_message_comes_again_until_it_is_dead_lettered(
    broker: ServiceBusBroker, links: Links
) -> None:
    links.send("q", "poison")
    counts = []
    for _ in range(3):
        message = links.receive_one("q")
        counts.append(message.delivery_count)
        links.receiver("q").abandon_message(message)
    assert counts == [0, 1, 2]
    assert broker.messages("q") == ()
    (dead,) = broker.dead_letters("q")
    assert dead.properties["DeadLetterReason"] == "MaxDeliveryCountExceeded"


def test_a_dead_letter_tells_why_and_whence(broker: ServiceBusBroker, links: Links) -> None:
    links.send("q", "bad", application_properties={"a": 1})
    links.receiver("q").dead_letter_message(
        links.receive_one("q"), reason="Schema", error_description="no total"
    )
    graves = links.receiver("q", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    (dead,) = graves.receive_messages(max_wait_time=PATIENCE)
    assert (dead.dead_letter_reason, dead.dead_letter_error_description) == ("Schema", "no total")
    assert dead.dead_letter_source == "q"
    assert dead.application_properties is not None
    assert dead.application_properties[b"a"] == 1
    graves.complete_message(dead)
    assert broker.dead_letters("q") == ()


def test_a_deferred_message_is_had_by_its_number_alone(broker: ServiceBusBroker, links: Links) -> None:
    links.send("q", "later")
    receiver = links.receiver("q")
    message = links.receive_one("q")
    assert message.sequence_number is not None
    receiver.defer_message(message)
    assert links.is_empty("q")
    (deferred,) = receiver.receive_deferred_messages(message.sequence_number)
    assert str(deferred) == "later"
    receiver.complete_message(deferred)
    assert broker.messages("q") == ()
    with pytest.raises(MessageNotFoundError):
        receiver.receive_deferred_messages(message.sequence_number)


def test_a_message_whose_lock_ran_out_comes_again_and_cannot_be_settled(
    broker: ServiceBusBroker, links: Links
) -> None:
    links.send("q", "slow")
    late = links.receive_one("q")
    broker.advance(LOCK)
    with pytest.raises(MessageLockLostError):
        links.receiver("q").complete_message(late)
    again = links.receive_one("q")
    assert again.delivery_count == 1
    links.receiver("q").complete_message(again)


def test_a_renewed_lock_lasts(broker: ServiceBusBroker, links: Links) -> None:
    links.send("q", "long")
    message = links.receive_one("q")
    for _ in range(3):
        broker.advance(LOCK * 0.6)
        assert links.receiver("q").renew_message_lock(message) > datetime.now(UTC)
    links.receiver("q").complete_message(message)
    assert broker.messages("q") == ()


def test_a_lost_lock_cannot_be_renewed(broker: ServiceBusBroker, links: Links) -> None:
    links.send("q", "lost")
    message = links.receive_one("q")
    broker.faults.lose_locks("q")
    with pytest.raises(MessageLockLostError):
        links.receiver("q").renew_message_lock(message)


def test_a_scheduled_message_comes_when_it_is_due_and_a_cancelled_one_never(
    broker: ServiceBusBroker, links: Links
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=10)  # beyond what other tests let pass
    sender = links.sender("q")
    kept, cancelled = sender.schedule_messages([ServiceBusMessage("kept"), ServiceBusMessage("no")], soon)
    sender.send_messages(ServiceBusMessage("sent", scheduled_enqueue_time_utc=soon))
    sender.cancel_scheduled_messages(cancelled)
    assert [each.state for each in broker.messages("q")] == ["scheduled", "scheduled"]
    assert links.is_empty("q")
    broker.advance(timedelta(hours=10))
    assert sorted(str(each) for each in links.receive("q", 2)) == ["kept", "sent"]
    with pytest.raises(MessageNotFoundError):
        sender.cancel_scheduled_messages(kept)


def test_peeked_messages_stay(broker: ServiceBusBroker, links: Links) -> None:
    links.send("q", "one", "two", "three")
    first = broker.messages("q")[0].sequence_number
    peeked = links.receiver("q").peek_messages(2, sequence_number=first)
    assert [str(each) for each in peeked] == ["one", "two"]
    assert [each.state for each in broker.messages("q")] == ["active"] * 3
    assert links.receiver("q").peek_messages(5, sequence_number=first + 3) == []


def test_received_and_deleted_is_one_step(broker: ServiceBusBroker, links: Links) -> None:
    links.send("at-once", "one", "two")
    receiver = links.receiver("at-once", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    got: list[str] = []
    while len(got) < 2:
        got += [str(each) for each in receiver.receive_messages(2, max_wait_time=PATIENCE)]
    assert got == ["one", "two"]
    assert broker.messages("at-once") == ()


def test_an_expired_message_is_dead_lettered_where_that_is_wanted(
    broker: ServiceBusBroker, links: Links
) -> None:
    links.send("dated", "brief", time_to_live=timedelta(minutes=1))
    links.send("dated", "by default")
    broker.advance(timedelta(minutes=2))
    assert [each.body for each in broker.messages("dated")] == [b"by default"]
    broker.advance(timedelta(minutes=4))
    assert [each.properties["DeadLetterReason"] for each in broker.dead_letters("dated")] == [
        "TTLExpiredException",
        "TTLExpiredException",
    ]


def test_an_expired_message_is_dropped_elsewhere(broker: ServiceBusBroker, links: Links) -> None:
    links.send("q", "brief", time_to_live=timedelta(minutes=1))
    broker.advance(timedelta(minutes=2))
    assert broker.messages("q") == ()
    assert broker.dead_letters("q") == ()


def test_a_second_message_of_an_id_is_dropped_within_the_window(
    broker: ServiceBusBroker, links: Links
) -> None:
    for _ in range(3):
        links.send("once", "same", message_id="order-1")
    links.send("once", "other", message_id="order-2")
    assert [each.message_id for each in broker.messages("once")] == ["order-1", "order-2"]
    broker.advance(timedelta(minutes=10))
    links.send("once", "same", message_id="order-1")
    assert [each.message_id for each in broker.messages("once")] == ["order-1", "order-2", "order-1"]


def test_the_clients_renewer_keeps_a_lock(links: Links) -> None:
    with (
        ServiceBusBroker([Queue("brisk", lock_duration=timedelta(seconds=1))]) as broker,
        AutoLockRenewer(max_lock_renewal_duration=60) as renewer,
    ):
        client = links.connect(broker.connection_string)
        sender = client.get_queue_sender("brisk")
        receiver = client.get_queue_receiver("brisk", auto_lock_renewer=renewer)
        links.open(sender, receiver)
        sender.send_messages(ServiceBusMessage("long"))
        (message,) = receiver.receive_messages(max_wait_time=PATIENCE)
        first_end = message.locked_until_utc
        await_that(lambda: message.locked_until_utc != first_end)
        receiver.complete_message(message)
        assert broker.messages("brisk") == ()


def test_sessions_are_received_in_order_by_one_receiver_each(broker: ServiceBusBroker, links: Links) -> None:
    for body in ("1", "2", "3"):
        for session in ("a", "b"):
            links.send("s", session + body, session_id=session)
    held = links.session("s", "a")
    assert [str(each) for each in held.receive_messages(3, max_wait_time=PATIENCE)] == ["a1", "a2", "a3"]
    with pytest.raises(SessionCannotBeLockedError):
        links.session("s", "a")
    other = links.session("s")
    assert other.session.session_id == "b"
    for message in other.receive_messages(3, max_wait_time=PATIENCE):
        other.complete_message(message)
    assert [each.body for each in broker.messages("s")] == [b"a1", b"a2", b"a3"]


def test_a_session_keeps_its_state_and_its_lock_is_renewed(broker: ServiceBusBroker, links: Links) -> None:
    links.send("s", "x", session_id="stateful")
    held = links.session("s", "stateful")
    assert held.session.get_state() is None
    held.session.set_state(b"half done")
    (message,) = held.receive_messages(max_wait_time=PATIENCE)
    broker.advance(LOCK * 0.7)
    held.session.renew_lock()
    broker.advance(LOCK * 0.7)
    assert held.session.get_state() == b"half done"
    held.complete_message(message)
    assert broker.messages("s") == ()
    assert list(links.client.list_queue_sessions("s")) == ["stateful"]


def test_the_messages_of_a_lost_session_come_again_counted(broker: ServiceBusBroker, links: Links) -> None:
    links.send("s", "x", session_id="lost")
    held = links.session("s", "lost")
    (message,) = held.receive_messages(max_wait_time=PATIENCE)
    broker.advance(LOCK)
    with pytest.raises(SessionLockLostError):
        held.complete_message(message)
    assert [each.delivery_count for each in broker.messages("s")] == [1]


def test_the_messages_of_a_closed_session_come_again_uncounted(
    broker: ServiceBusBroker, links: Links
) -> None:
    links.send("s", "x", session_id="closed")
    held = links.session("s", "closed")
    assert held.receive_messages(max_wait_time=PATIENCE)
    held.close()
    assert [(each.state, each.delivery_count) for each in broker.messages("s")] == [("active", 0)]


def test_a_receiver_waits_for_a_session_until_it_gives_up(links: Links) -> None:
    with pytest.raises(OperationTimeoutError):
        links.session("s", patience=0.3)


def test_a_receiver_that_waits_gets_the_session_that_comes(broker: ServiceBusBroker, links: Links) -> None:
    links.send("s", "opens the link", session_id="first")
    broker.purge("s")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(links.session, "s", patience=PATIENCE)
        links.send("s", "x", session_id="awaited")
        assert waiting.result(PATIENCE).session.session_id == "awaited"


def test_a_queue_with_sessions_has_none_but_them(links: Links) -> None:
    with pytest.raises(ServiceBusError, match="no session id"):
        links.send("s", "x")
    with pytest.raises(ServiceBusError, match="must accept one"):
        links.receiver("s").receive_messages(max_wait_time=PATIENCE)


def test_each_subscription_gets_what_its_filters_let_pass(broker: ServiceBusBroker, links: Links) -> None:
    sender = links.client.get_topic_sender("events")
    red = links.client.get_subscription_receiver("events", "red")
    links.open(sender, red)
    sender.send_messages(ServiceBusMessage("r", subject="paint", application_properties={"colour": "red"}))
    sender.send_messages(ServiceBusMessage("b", subject="paint", application_properties={"colour": "blue"}))
    assert [each.body for each in broker.messages("events/Subscriptions/all")] == [b"r", b"b"]
    assert [str(each) for each in red.receive_messages(5, max_wait_time=PATIENCE)] == ["r"]
    assert red.receive_messages(max_wait_time=MOMENT) == []
