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
from api_exchange_core.domain.names import dead_letter_queue
from api_exchange_testing.conformance._samples import EVERY_SCRIPT
from api_exchange_testing.conformance._threads import all_at_once
from api_exchange_testing.conformance.message_consumer_order import MessageOrderSuite, send
from api_exchange_testing.conformance.suite import PassingTime
from api_exchange_testing.conformance.transport import Transport

_LETTER = f'{{"failure":"{EVERY_SCRIPT}"}}'.encode()


class MessageConsumerSuite(MessageOrderSuite):
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
        body = send(transport)
        delivery = transport.receive_one()
        assert (delivery.queue, delivery.body, delivery.receive_count) == (transport.queue, body, 1)
        assert delivery.enqueued_at is None or abs(delivery.enqueued_at - sent_at) <= transport.traits.unit

    def test_no_more_are_received_than_asked_for(self, transport: Transport) -> None:
        for number in range(5):
            send(transport, f"message-{number}")
        received = transport.consumer.receive(
            transport.queue, max_messages=3, visibility=transport.visibility
        )
        assert 1 <= len(received) <= 3
        assert len(received) + len(transport.receive()) == 5

    def test_the_oldest_are_received_first(self, transport: Transport) -> None:
        sent = [send(transport, f"message-{number}") for number in range(5)]
        received = transport.bodies()
        assert (received if transport.traits.oldest_first else sorted(received)) == sent

    def test_a_received_message_is_invisible_for_its_timeout(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        send(transport)
        transport.receive_one()
        assert transport.receive() == []
        clock.advance(transport.visibility / 2)
        assert transport.receive() == []

    def test_an_unsettled_message_is_delivered_again_and_again_with_a_higher_count(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        body = send(transport)
        for count in (1, 2, 3):
            delivery = transport.receive_one()
            assert (delivery.body, delivery.receive_count) == (body, count)
            clock.advance(transport.visibility)

    def test_a_completed_message_never_comes_back(self, transport: Transport, clock: PassingTime) -> None:
        send(transport)
        transport.settle([transport.receive_one()], Complete())
        clock.advance(transport.visibility)
        assert transport.receive() == []

    def test_completing_twice_harms_nothing(self, transport: Transport) -> None:
        send(transport)
        delivery = transport.receive_one()
        transport.settle([delivery], Complete())
        transport.settle([delivery], Complete())
        body = send(transport, "message-2")
        assert transport.bodies() == [body]

    def test_a_retried_message_comes_back_after_its_wait_with_a_higher_count(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        send(transport)
        transport.settle([transport.receive_one()], Retry(transport.traits.unit))
        assert transport.receive() == []
        clock.advance(transport.traits.unit)
        assert transport.receive_one().receive_count == 2

    def test_a_wait_beyond_the_visibility_timeout_neither_ends_early_nor_makes_a_second_copy(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        send(transport)
        transport.settle([transport.receive_one()], Retry(3 * transport.visibility))
        for _ in range(2):
            clock.advance(transport.visibility)
            assert transport.receive() == []
        clock.advance(transport.visibility)
        transport.settle([transport.receive_one()], Complete())
        clock.advance(3 * transport.visibility)
        assert transport.receive() == []

    def test_a_retry_without_wait_is_visible_at_once(self, transport: Transport) -> None:
        send(transport)
        transport.settle([transport.receive_one()], Retry(timedelta(0)))
        assert transport.receive_one().receive_count == 2

    def test_a_deferred_message_comes_back_after_its_wait_and_no_attempt_is_spent(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        body = send(transport)
        transport.settle([transport.receive_one()], Retry(timedelta(0)))
        transport.settle([transport.receive_one()], Defer(transport.traits.unit))
        assert transport.receive() == []
        clock.advance(transport.traits.unit)
        delivery = transport.receive_one()
        assert (delivery.body, delivery.receive_count) == (body, 2)

    def test_however_often_a_message_is_given_back_untouched_it_is_the_first_attempt(
        self, transport: Transport
    ) -> None:
        send(transport)
        for _ in range(5):
            delivery = transport.receive_one()
            assert delivery.receive_count == 1
            transport.settle([delivery], Defer(timedelta(0)))

    def test_a_dead_letter_is_the_letter_in_the_dead_letter_queue_and_gone_from_its_own(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        send(transport)
        transport.settle([transport.receive_one()], DeadLetter(_LETTER, reason=f"ValueError: {EVERY_SCRIPT}"))
        clock.advance(transport.visibility)
        assert transport.receive() == []
        assert transport.bodies(dead_letter_queue(transport.queue)) == [_LETTER]

    def test_each_delivery_of_a_batch_ends_in_its_own_way(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        bodies = {name: send(transport, name) for name in ("complete", "retry", "defer", "dead")}
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
            send(transport)
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
        send(transport)
        late = transport.receive_one()
        clock.advance(transport.visibility)
        transport.settle([late], Complete())
        assert len(transport.receive()) == (1 if transport.traits.receipts_expire else 0)

    def test_an_extended_message_stays_invisible_from_then_on_for_the_new_time(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        body = send(transport)
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
        send(transport)
        delivery = transport.receive_one()
        _extended(transport, delivery)
        clock.advance(transport.visibility / 2)
        transport.settle([delivery], Complete())
        clock.advance(transport.visibility)
        assert transport.receive() == []

    def test_who_extends_what_is_not_theirs_any_more_is_told_and_changes_nothing(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        send(transport, "late")
        late = transport.receive_one()
        clock.advance(transport.visibility)
        current = transport.receive_one()
        send(transport, "settled")
        settled = transport.receive_one()
        transport.settle([settled], Complete())
        send(transport, "ours")
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
        send(transport, queue=first)
        body = send(transport, queue=second)
        transport.settle(transport.receive(first), Complete())
        clock.advance(transport.visibility)
        assert transport.bodies(second) == [body]

    def test_of_many_threads_one_receives_a_message(self, transport: Transport) -> None:
        sent = [send(transport, f"message-{number}") for number in range(40)]

        def drain(_: int) -> list[Delivery]:
            return transport.receive()

        received = [delivery.body for deliveries in all_at_once(drain) for delivery in deliveries]
        assert sorted(received) == sorted(sent)


def _extended(transport: Transport, *deliveries: Delivery) -> list[Delivery]:
    return list(transport.consumer.extend(deliveries, visibility=transport.visibility))
