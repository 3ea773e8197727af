"""What every `MessageConsumer` does."""

from __future__ import annotations

from datetime import timedelta

from api_exchange_core.domain.delivery import (
    Complete,
    DeadLetter,
    Defer,
    Delivery,
    Disposition,
    Retry,
    Settlement,
)
from api_exchange_core.domain.names import QueueName, TenantId, dead_letter_queue
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, OTHER_TENANT, TENANT, outgoing
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.suite import PassingTime, Suite
from api_exchange_testing.conformance.transport import Transport

_LETTER = f'{{"failure":"{EVERY_SCRIPT}"}}'.encode()


class MessageConsumerSuite(Suite):
    """Needs a fixture `transport` that returns a `Transport`."""

    def test_an_empty_queue_gives_nothing(self, transport: Transport) -> None:
        deliveries = transport.consumer.receive(
            transport.queue, max_messages=10, visibility=transport.visibility
        )
        assert list(deliveries) == []

    def test_a_delivery_says_where_it_is_from_and_that_it_is_the_first(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        sent_at = clock.now()
        body = _sent(transport)
        delivery = transport.receive_one()
        assert (delivery.queue, delivery.body, delivery.receive_count) == (transport.queue, body, 1)
        assert delivery.enqueued_at is None or abs(delivery.enqueued_at - sent_at) <= transport.traits.unit

    def test_no_more_are_received_than_asked_for(self, transport: Transport) -> None:
        for number in range(5):
            _sent(transport, f"message-{number}")
        received = transport.consumer.receive(
            transport.queue, max_messages=3, visibility=transport.visibility
        )
        assert 1 <= len(received) <= 3
        assert len(received) + len(transport.receive()) == 5

    def test_the_oldest_are_received_first(self, transport: Transport) -> None:
        sent = [_sent(transport, f"message-{number}") for number in range(5)]
        received = transport.bodies()
        assert (received if transport.traits.oldest_first else sorted(received)) == sent

    def test_a_received_message_is_invisible_for_its_timeout(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        _sent(transport)
        transport.receive_one()
        assert transport.receive() == []
        clock.advance(transport.visibility / 2)
        assert transport.receive() == []

    def test_an_unsettled_message_is_delivered_again_and_again_with_a_higher_count(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        body = _sent(transport)
        for count in (1, 2, 3):
            delivery = transport.receive_one()
            assert (delivery.body, delivery.receive_count) == (body, count)
            clock.advance(transport.visibility)

    def test_a_completed_message_never_comes_back(self, transport: Transport, clock: PassingTime) -> None:
        _sent(transport)
        transport.settle([transport.receive_one()], Complete())
        clock.advance(transport.visibility)
        assert transport.receive() == []

    def test_completing_twice_harms_nothing(self, transport: Transport) -> None:
        _sent(transport)
        delivery = transport.receive_one()
        transport.settle([delivery], Complete())
        transport.settle([delivery], Complete())
        body = _sent(transport, "message-2")
        assert transport.bodies() == [body]

    def test_a_retried_message_comes_back_after_its_wait_with_a_higher_count(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        _sent(transport)
        transport.settle([transport.receive_one()], Retry(transport.traits.unit))
        assert transport.receive() == []
        clock.advance(transport.traits.unit)
        assert transport.receive_one().receive_count == 2

    def test_a_wait_beyond_the_visibility_timeout_neither_ends_early_nor_makes_a_second_copy(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        _sent(transport)
        transport.settle([transport.receive_one()], Retry(3 * transport.visibility))
        for _ in range(2):
            clock.advance(transport.visibility)
            assert transport.receive() == []
        clock.advance(transport.visibility)
        transport.settle([transport.receive_one()], Complete())
        clock.advance(3 * transport.visibility)
        assert transport.receive() == []

    def test_a_retry_without_wait_is_visible_at_once(self, transport: Transport) -> None:
        _sent(transport)
        transport.settle([transport.receive_one()], Retry(timedelta(0)))
        assert transport.receive_one().receive_count == 2

    def test_a_deferred_message_comes_back_after_its_wait_and_no_attempt_is_spent(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        body = _sent(transport)
        transport.settle([transport.receive_one()], Retry(timedelta(0)))
        transport.settle([transport.receive_one()], Defer(transport.traits.unit))
        assert transport.receive() == []
        clock.advance(transport.traits.unit)
        delivery = transport.receive_one()
        assert (delivery.body, delivery.receive_count) == (body, 2)

    def test_however_often_a_message_is_given_back_untouched_it_is_the_first_attempt(
        self, transport: Transport
    ) -> None:
        _sent(transport)
        for _ in range(5):
            delivery = transport.receive_one()
            assert delivery.receive_count == 1
            transport.settle([delivery], Defer(timedelta(0)))

    def test_a_dead_letter_is_the_letter_in_the_dead_letter_queue_and_gone_from_its_own(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        _sent(transport)
        transport.settle([transport.receive_one()], DeadLetter(_LETTER, reason=f"ValueError: {EVERY_SCRIPT}"))
        clock.advance(transport.visibility)
        assert transport.receive() == []
        assert transport.bodies(dead_letter_queue(transport.queue)) == [_LETTER]

    def test_each_delivery_of_a_batch_ends_in_its_own_way(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        bodies = {name: _sent(transport, name) for name in ("complete", "retry", "defer", "dead")}
        unit = transport.traits.unit
        endings: dict[bytes, Disposition] = {
            bodies["complete"]: Complete(),
            bodies["retry"]: Retry(unit),
            bodies["defer"]: Defer(unit),
            bodies["dead"]: DeadLetter(_LETTER, reason="dead"),
        }
        transport.consumer.settle([Settlement(one, endings[one.body]) for one in transport.receive()])
        clock.advance(unit)
        assert {one.body: one.receive_count for one in transport.receive()} == {
            bodies["retry"]: 2,
            bodies["defer"]: 1,
        }
        assert transport.bodies(dead_letter_queue(transport.queue)) == [_LETTER]

    def test_a_receipt_is_worthless_once_the_message_was_delivered_again(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        for ending in (
            Complete(),
            Retry(timedelta(0)),
            Defer(timedelta(0)),
            DeadLetter(_LETTER, reason="late"),
        ):
            _sent(transport)
            late = transport.receive_one()
            clock.advance(transport.visibility)
            current = transport.receive_one()
            transport.settle([late], ending)
            assert transport.receive() == [], f"{ending} of a late worker gave the message to a third"
            clock.advance(transport.visibility)
            again = transport.receive_one()
            assert again.receive_count == current.receive_count + 1, f"{ending} of a late worker took effect"
            assert transport.bodies(dead_letter_queue(transport.queue)) == []
            transport.settle([again], Complete())

    def test_a_receipt_is_worthless_once_its_time_is_up(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        _sent(transport)
        late = transport.receive_one()
        clock.advance(transport.visibility)
        transport.settle([late], Complete())
        assert len(transport.receive()) == (1 if transport.traits.receipts_expire else 0)

    def test_an_extended_message_stays_invisible_from_then_on_for_the_new_time(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        body = _sent(transport)
        delivery = transport.receive_one()
        for _ in range(3):
            clock.advance(transport.visibility / 2)
            assert _extended(transport, delivery) == []
            assert transport.receive() == []
        clock.advance(transport.visibility / 2)
        assert transport.receive() == []
        clock.advance(transport.visibility / 2)
        again = transport.receive_one()
        assert (again.body, again.receive_count) == (body, 2)

    def test_an_extended_message_is_settled_as_any_other(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        _sent(transport)
        delivery = transport.receive_one()
        _extended(transport, delivery)
        clock.advance(transport.visibility / 2)
        transport.settle([delivery], Complete())
        clock.advance(transport.visibility)
        assert transport.receive() == []

    def test_who_extends_what_is_not_theirs_any_more_is_told_and_changes_nothing(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        _sent(transport, "late")
        late = transport.receive_one()
        clock.advance(transport.visibility)
        current = transport.receive_one()
        _sent(transport, "settled")
        settled = transport.receive_one()
        transport.settle([settled], Complete())
        _sent(transport, "ours")
        ours = transport.receive_one()
        clock.advance(transport.visibility / 2)
        lost = _extended(transport, late, settled, ours)
        assert lost == [late, settled]
        clock.advance(transport.visibility / 2)
        assert transport.bodies() == [current.body], "only what was extended is invisible still"

    def test_extending_nothing_is_no_error(self, transport: Transport) -> None:
        assert _extended(transport) == []

    def test_settling_in_one_queue_leaves_the_other_alone(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        first, second = transport.queues
        _sent(transport, queue=first)
        body = _sent(transport, queue=second)
        transport.settle(transport.receive(first), Complete())
        clock.advance(transport.visibility)
        assert transport.bodies(second) == [body]

    def test_a_message_with_an_ordering_key_waits_until_the_one_before_it_is_settled(
        self, transport: Transport
    ) -> None:
        first, second = (_sent(transport, name, ordering_key="order-1") for name in ("first", "second"))
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
            first = _sent(transport, "first", ordering_key="order-1")
            transport.settle([transport.receive_one()], ending)
            second = _sent(transport, "second", ordering_key="order-1")
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
        _sent(transport, "first", ordering_key="order-1")
        dead = transport.receive()
        second = _sent(transport, "second", ordering_key="order-1")
        transport.settle(dead, DeadLetter(_LETTER, reason="dead"))
        assert transport.bodies() == [second]

    def test_other_keys_other_tenants_and_messages_without_key_do_not_wait(
        self, transport: Transport
    ) -> None:
        held = _sent(transport, "held", ordering_key="Größe")
        assert transport.bodies() == [held]
        others = [
            _sent(transport, "other-key", ordering_key="Grösse"),
            _sent(transport, "other-tenant", ordering_key="Größe", tenant=OTHER_TENANT),
            _sent(transport, "no-key"),
        ]
        assert sorted(transport.bodies()) == sorted(others)

    def test_a_tenant_with_many_messages_leaves_another_its_share(self, transport: Transport) -> None:
        many = [_sent(transport, f"many-{number:02}") for number in range(30)]
        few = [_sent(transport, f"few-{number}", tenant=OTHER_TENANT) for number in range(3)]
        first = _batch(transport, 6)
        if not transport.traits.fair:
            assert len(first) <= 6
            return
        assert sorted(first) == sorted(many[:3] + few)

    def test_what_a_tenant_leaves_of_its_share_goes_to_the_others(self, transport: Transport) -> None:
        many = [_sent(transport, f"many-{number:02}") for number in range(12)]
        one = _sent(transport, "one", tenant=OTHER_TENANT)
        first = _batch(transport, 10)
        if not transport.traits.fair:
            assert len(first) <= 10
            return
        assert sorted(first) == sorted([*many[:9], one])

    def test_a_tenant_whose_messages_wait_for_their_order_leaves_its_share(
        self, transport: Transport
    ) -> None:
        first = [_sent(transport, f"first-{number}", ordering_key="order-1") for number in range(8)]
        second = [_sent(transport, f"second-{number}", tenant=OTHER_TENANT) for number in range(8)]
        received = _batch(transport, 8)
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
                _sent(transport, f"{tenant}-{number}", tenant=tenant)
        received = [body for _ in tenants for body in _batch(transport, 2)]
        assert len(received) <= 2 * len(tenants)
        if transport.traits.fair:
            oldest = [outgoing(f"{tenant}-{number}").body for tenant in tenants for number in (0, 1)]
            assert sorted(received) == sorted(oldest)

    def test_of_many_threads_one_receives_a_message(self, transport: Transport) -> None:
        sent = [_sent(transport, f"message-{number}") for number in range(40)]

        def drain(_: int) -> list[Delivery]:
            return transport.receive()

        received = [delivery.body for deliveries in all_at_once(drain) for delivery in deliveries]
        assert sorted(received) == sorted(sent)


def _extended(transport: Transport, *deliveries: Delivery) -> list[Delivery]:
    return list(transport.consumer.extend(deliveries, visibility=transport.visibility))


def _sent(
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


def _batch(transport: Transport, most: int) -> list[bytes]:
    """The bodies of one receive."""
    received = transport.consumer.receive(transport.queue, max_messages=most, visibility=transport.visibility)
    return [delivery.body for delivery in received]
