"""What the client raises when the broker says no, or is made to fail."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusConnectionError,
    ServiceBusError,
    ServiceBusServerBusyError,
)

from api_exchange_testing.servicebus import ServiceBusBroker

if TYPE_CHECKING:
    from packages.testing.tests.servicebus.conftest import Links

PATIENCE = 5.0

pytestmark = pytest.mark.usefixtures("forgotten_sockets")


def test_a_message_beyond_the_limit_is_refused_and_the_link_goes_on(
    broker: ServiceBusBroker, links: Links
) -> None:
    with pytest.raises(MessageSizeExceededError):
        links.send("q", "x" * 256 * 1024)
    links.send("q", "x" * 255 * 1024)
    assert [len(each.body or b"") for each in broker.messages("q")] == [255 * 1024]


def test_a_batch_does_not_grow_beyond_the_limit(links: Links) -> None:
    batch = links.sender("q").create_message_batch()
    assert batch.max_size_in_bytes == 256 * 1024
    batch.add_message(ServiceBusMessage("x" * 200 * 1024))
    with pytest.raises(MessageSizeExceededError):
        batch.add_message(ServiceBusMessage("x" * 60 * 1024))


def test_what_may_not_be_opened_is_refused_with_the_reason(broker: ServiceBusBroker, links: Links) -> None:
    forged = links.connect(broker.connection_string.replace("b3duZXI=", "d3Jvbmc="))
    reader = links.connect(broker.connection_string_for("reader"))
    writer = links.connect(broker.connection_string_for("writer"))
    refused: list[tuple[ServiceBusSender | ServiceBusReceiver, type[ServiceBusError], str]] = [
        (
            links.client.get_queue_receiver("missing"),
            MessagingEntityNotFoundError,
            "'missing' could not be found",
        ),
        (
            links.client.get_queue_sender("missing"),
            MessagingEntityNotFoundError,
            "'missing' could not be found",
        ),
        (
            links.client.get_subscription_receiver("events", "no"),
            MessagingEntityNotFoundError,
            "Subscriptions/no",
        ),
        (links.client.get_queue_receiver("events"), ServiceBusError, "is a topic"),
        (forged.get_queue_sender("q"), ServiceBusAuthenticationError, ""),
        (reader.get_queue_sender("q"), ServiceBusAuthorizationError, "'Send' claim"),
        (writer.get_queue_receiver("q"), ServiceBusAuthorizationError, "'Listen' claim"),
    ]
    with ThreadPoolExecutor(len(refused)) as pool:
        errors = list(pool.map(lambda each: error_of_opening(each[0]), refused))
    for (_, kind, text), error in zip(refused, errors, strict=True):
        assert type(error) is kind
        assert text in str(error)


def test_a_policy_allows_what_it_says(broker: ServiceBusBroker, links: Links) -> None:
    sender = links.connect(broker.connection_string_for("writer")).get_queue_sender("policed")
    receiver = links.connect(broker.connection_string_for("reader")).get_queue_receiver("policed")
    links.open(sender, receiver)
    sender.send_messages(ServiceBusMessage("x"))
    assert receiver.receive_messages(max_wait_time=PATIENCE)


def error_of_opening(handler: ServiceBusSender | ServiceBusReceiver) -> ServiceBusError | None:
    try:
        handler.__enter__()
    except ServiceBusError as error:
        return error
    return None


def test_a_throttled_send_or_request_is_told_so_and_not_carried_out(
    broker: ServiceBusBroker, links: Links
) -> None:
    links.send("q", "opens the link")
    links.receiver("q").complete_message(links.receive_one("q"))
    broker.faults.throttle(2)
    with pytest.raises(ServiceBusServerBusyError):
        links.send("q", "x")
    with pytest.raises(ServiceBusServerBusyError):
        links.receiver("q").peek_messages()
    links.send("q", "y")
    assert [each.body for each in broker.messages("q")] == [b"y"]


def test_clients_connect_again_after_their_connections_dropped(
    fragile_broker: ServiceBusBroker, links: Links
) -> None:
    client = links.connect(fragile_broker.connection_string, retry_total=3, retry_backoff_factor=0.01)
    sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q")
    links.open(sender, receiver)
    sender.send_messages(ServiceBusMessage("before"))
    receiver.complete_message(receiver.receive_messages(max_wait_time=PATIENCE)[0])
    fragile_broker.faults.drop_connections()
    sender.send_messages(ServiceBusMessage("after"))
    (message,) = receiver.receive_messages(max_wait_time=PATIENCE)
    assert str(message) == "after"
    receiver.complete_message(message)
    assert fragile_broker.messages("q") == ()


def test_a_send_whose_answer_is_lost_is_there_twice_when_it_is_tried_again(
    fragile_broker: ServiceBusBroker, links: Links
) -> None:
    client = links.connect(fragile_broker.connection_string, retry_total=3, retry_backoff_factor=0.01)
    fragile_broker.purge("q")
    fragile_broker.faults.lose_answers(sends=1)
    links.keep(client.get_queue_sender("q")).send_messages(ServiceBusMessage("x", message_id="one"))
    assert [each.message_id for each in fragile_broker.messages("q")] == ["one", "one"]


def test_a_settlement_whose_answer_is_lost_was_carried_out(
    fragile_broker: ServiceBusBroker, links: Links
) -> None:
    client = links.connect(fragile_broker.connection_string)
    fragile_broker.purge("q")
    sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q")
    links.open(sender, receiver)
    sender.send_messages(ServiceBusMessage("x"))
    (message,) = receiver.receive_messages(max_wait_time=PATIENCE)
    fragile_broker.faults.lose_answers(settlements=1)
    with pytest.raises(ServiceBusError):
        receiver.complete_message(message)
    assert fragile_broker.messages("q") == ()


def test_a_dropped_connection_is_an_error_without_retries(
    fragile_broker: ServiceBusBroker, links: Links
) -> None:
    sender = links.keep(links.connect(fragile_broker.connection_string).get_queue_sender("q"))
    sender.send_messages(ServiceBusMessage("before"))
    fragile_broker.faults.drop_connections()
    with pytest.raises(ServiceBusConnectionError):
        sender.send_messages(ServiceBusMessage("after"))


def test_parallel_receivers_share_the_messages_and_none_is_had_twice(
    broker: ServiceBusBroker, links: Links
) -> None:
    count, got = 60, Counter[str]()
    links.send("shared", *[str(number) for number in range(count)])

    def work(name: str) -> int:
        receiver, mine = links.receiver("shared", client_identifier=name), 0
        while broker.messages("shared"):
            for message in receiver.receive_messages(5, max_wait_time=1):
                got[str(message)] += 1
                mine += 1
                receiver.complete_message(message)
        return mine

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(work, ("one", "two", "three")))
    assert got == Counter({str(number): 1 for number in range(count)})
    assert sum(shares) == count
