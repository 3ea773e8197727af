"""What every `MessageConsumer` does about order and about shares of tenants; see `MessageConsumerSuite`."""

from __future__ import annotations

from api_exchange_core.domain.delivery import (
    Complete,
    DeadLetter,
    Defer,
    Retry,
)
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, OTHER_TENANT, TENANT, outgoing
from api_exchange_testing.conformance.suite import PassingTime, Suite
from api_exchange_testing.conformance.transport import Transport

_LETTER = f'{{"failure":"{EVERY_SCRIPT}"}}'.encode()


class MessageOrderSuite(Suite):
    """Part of `MessageConsumerSuite`."""

    def test_a_message_with_an_ordering_key_waits_until_the_one_before_it_is_settled(
        self, transport: Transport
    ) -> None:
        first, second = (send(transport, name, ordering_key="order-1") for name in ("first", "second"))
        if not transport.traits.ordering_keys:
            assert sorted(transport.bodies()) == [first, second]
            return
        delivery = transport.receive_one()
        assert delivery.body == first
        transport.settle([delivery], Complete())
        assert transport.bodies() == [second]

    def test_a_message_that_waits_for_its_retry_is_not_overtaken_by_the_next_of_its_key(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        for ending in (Retry(transport.traits.unit), Defer(transport.traits.unit)):
            first = send(transport, "first", ordering_key="order-1")
            transport.settle([transport.receive_one()], ending)
            second = send(transport, "second", ordering_key="order-1")
            overtaking = [] if transport.traits.ordering_keys else [second]
            assert transport.bodies() == overtaking, f"after {ending}"
            clock.advance(transport.visibility)
            seen = []
            for _ in range(2):
                batch = transport.receive()
                seen += [delivery.body for delivery in batch]
                transport.settle(batch, Complete())
            assert (seen if transport.traits.ordering_keys else sorted(seen)) == [first, second]

    def test_a_dead_letter_lets_the_next_of_its_key_through(self, transport: Transport) -> None:
        send(transport, "first", ordering_key="order-1")
        dead = transport.receive()
        second = send(transport, "second", ordering_key="order-1")
        transport.settle(dead, DeadLetter(_LETTER, reason="dead"))
        assert transport.bodies() == [second]

    def test_other_keys_other_tenants_and_messages_without_key_do_not_wait(
        self, transport: Transport
    ) -> None:
        held = send(transport, "held", ordering_key="Größe")
        assert transport.bodies() == [held]
        others = [
            send(transport, "other-key", ordering_key="Grösse"),
            send(transport, "other-tenant", ordering_key="Größe", tenant=OTHER_TENANT),
            send(transport, "no-key"),
        ]
        assert sorted(transport.bodies()) == sorted(others)

    def test_a_tenant_with_many_messages_leaves_another_its_share(self, transport: Transport) -> None:
        many = [send(transport, f"many-{number:02}") for number in range(30)]
        few = [send(transport, f"few-{number}", tenant=OTHER_TENANT) for number in range(3)]
        first = receive_batch(transport, 6)
        if not transport.traits.fair:
            assert len(first) <= 6
            return
        assert sorted(first) == sorted(many[:3] + few)

    def test_what_a_tenant_leaves_of_its_share_goes_to_the_others(self, transport: Transport) -> None:
        many = [send(transport, f"many-{number:02}") for number in range(12)]
        one = send(transport, "one", tenant=OTHER_TENANT)
        first = receive_batch(transport, 10)
        if not transport.traits.fair:
            assert len(first) <= 10
            return
        assert sorted(first) == sorted([*many[:9], one])

    def test_a_tenant_whose_messages_wait_for_their_order_leaves_its_share(
        self, transport: Transport
    ) -> None:
        first = [send(transport, f"first-{number}", ordering_key="order-1") for number in range(8)]
        second = [send(transport, f"second-{number}", tenant=OTHER_TENANT) for number in range(8)]
        received = receive_batch(transport, 8)
        if not (transport.traits.fair and transport.traits.ordering_keys):
            assert len(received) <= 8
            return
        assert sorted(received) == sorted([first[0], *second[:7]])

    def test_with_more_tenants_than_are_received_at_once_none_waits_for_ever(
        self, transport: Transport
    ) -> None:
        tenants = [TenantId(f"customer-{letter}") for letter in "abcdefg"]
        for tenant in tenants:
            for number in range(6):
                send(transport, f"{tenant}-{number}", tenant=tenant)
        received = [body for _ in tenants for body in receive_batch(transport, 2)]
        assert len(received) <= 2 * len(tenants)
        if transport.traits.fair:
            oldest = [outgoing(f"{tenant}-{number}").body for tenant in tenants for number in (0, 1)]
            assert sorted(received) == sorted(oldest)


def send(
    transport: Transport,
    name: str = "message-1",
    *,
    queue: QueueName | None = None,
    ordering_key: str | None = None,
    tenant: TenantId = TENANT,
) -> bytes:
    """Send a message; its body."""
    queue_name = transport.queue if queue is None else queue
    message = outgoing(name, queue=queue_name, ordering_key=ordering_key, tenant=tenant)
    transport.publisher.publish([message])
    return message.body


def receive_batch(transport: Transport, most: int) -> list[bytes]:
    """The bodies of one receive."""
    received = transport.consumer.receive(transport.queue, max_messages=most, visibility=transport.visibility)
    return [delivery.body for delivery in received]
