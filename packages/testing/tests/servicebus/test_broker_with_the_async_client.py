"""The asynchronous client of Azure against the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageSizeExceededError,
    ServiceBusServerBusyError,
)

from api_exchange_testing.servicebus import Queue, ServiceBusBroker

PATIENCE = 5.0

pytestmark = pytest.mark.usefixtures("forgotten_sockets")


@pytest.fixture
def own_broker() -> ServiceBusBroker:
    return ServiceBusBroker(["q", Queue("s", requires_session=True)], {"t": ["a", "b"]})


def play(broker: ServiceBusBroker, scene: Callable[[ServiceBusClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0) as client:
            await scene(client)

    with broker:
        asyncio.run(run())


def test_messages_are_sent_received_and_settled(own_broker: ServiceBusBroker) -> None:
    async def scene(client: ServiceBusClient) -> None:
        sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q")
        await asyncio.gather(sender.__aenter__(), receiver.__aenter__())
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(4)])
        got = await receiver.receive_messages(4, max_wait_time=PATIENCE)
        while len(got) < 4:
            got += await receiver.receive_messages(4 - len(got), max_wait_time=PATIENCE)
        await receiver.complete_message(got[0])
        await receiver.abandon_message(got[1])
        await receiver.defer_message(got[2])
        await receiver.dead_letter_message(got[3], reason="why", error_description="because")

    play(own_broker, scene)
    assert [(each.body, each.state) for each in own_broker.messages("q")] == [
        (b"1", "active"),
        (b"2", "deferred"),
    ]
    assert [each.properties["DeadLetterReason"] for each in own_broker.dead_letters("q")] == ["why"]


def test_what_the_broker_refuses_is_raised(own_broker: ServiceBusBroker) -> None:
    async def scene(client: ServiceBusClient) -> None:
        sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q")
        await asyncio.gather(sender.__aenter__(), receiver.__aenter__())
        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(ServiceBusMessage("x" * 256 * 1024))
        own_broker.faults.throttle(1)
        with pytest.raises(ServiceBusServerBusyError):
            await sender.send_messages(ServiceBusMessage("x"))
        await sender.send_messages(ServiceBusMessage("x"))
        (message,) = await receiver.receive_messages(max_wait_time=PATIENCE)
        own_broker.faults.lose_locks()
        with pytest.raises(MessageLockLostError):
            await receiver.complete_message(message)

    play(own_broker, scene)


def test_sessions_and_topics_work(own_broker: ServiceBusBroker) -> None:
    async def scene(client: ServiceBusClient) -> None:
        await client.get_queue_sender("s").send_messages(ServiceBusMessage("x", session_id="one"))
        await client.get_topic_sender("t").send_messages(ServiceBusMessage("event"))
        async with client.get_queue_receiver(
            "s", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=PATIENCE
        ) as receiver:
            assert receiver.session.session_id == "one"
            (message,) = await receiver.receive_messages(max_wait_time=PATIENCE)
            await receiver.complete_message(message)

    play(own_broker, scene)
    assert own_broker.messages("s") == ()
    assert [len(own_broker.messages(f"t/Subscriptions/{name}")) for name in ("a", "b")] == [1, 1]
