"""What every `MessagePublisher` does."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest

from api_exchange_core.domain.delivery import Complete
from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, TENANT, outgoing
from api_exchange_testing.conformance._threads import THREADS, all_at_once
from api_exchange_testing.conformance.suite import PassingTime, Suite
from api_exchange_testing.conformance.transport import Transport

_A_MOMENT = timedelta(seconds=1)
_HARD_TO_CARRY = "\u007f\u0085\u2028\ufeff\ufffe\uffff\U0010ffff\\u0000"


class MessagePublisherSuite(Suite):
    """Needs a fixture `transport` that returns a `Transport`."""

    def test_what_was_published_is_received_byte_for_byte(self, transport: Transport) -> None:
        body = b'{"b": 1,\t"a" :2 }'
        transport.publisher.publish([outgoing(queue=transport.queue, body=body)])
        assert transport.bodies() == [body]

    def test_text_of_every_script_goes_through(self, transport: Transport) -> None:
        body = f'{{"text":"{EVERY_SCRIPT}"}}'.encode()
        transport.publisher.publish([outgoing(queue=transport.queue, body=body)])
        assert transport.bodies() == [body]

    def test_characters_that_json_takes_and_xml_does_not_go_through(self, transport: Transport) -> None:
        body = f'{{"text":"{_HARD_TO_CARRY}"}}'.encode()
        transport.publisher.publish([outgoing(queue=transport.queue, body=body)])
        assert transport.bodies() == [body]

    def test_properties_leave_the_body_as_it_is(self, transport: Transport) -> None:
        properties = {f"property-{number}": f"value {number}" for number in range(7)} | {
            "script": EVERY_SCRIPT
        }
        message = outgoing(queue=transport.queue, properties=properties)
        transport.publisher.publish([message])
        assert transport.bodies() == [message.body]

    def test_a_whole_batch_arrives(self, transport: Transport) -> None:
        batch = [outgoing(f"message-{number}", queue=transport.queue) for number in range(30)]
        transport.publisher.publish(batch)
        assert sorted(transport.bodies()) == sorted(message.body for message in batch)

    def test_publishing_nothing_sends_nothing(self, transport: Transport) -> None:
        transport.publisher.publish([])
        assert transport.bodies() == []

    def test_each_message_goes_to_its_own_queue(self, transport: Transport) -> None:
        first, second = (outgoing(f"to-{name}", queue=name) for name in transport.queues)
        transport.publisher.publish([first, second])
        assert [transport.bodies(name) for name in transport.queues] == [[first.body], [second.body]]

    def test_sending_the_same_message_again_is_safe(self, transport: Transport) -> None:
        message = outgoing(queue=transport.queue)
        transport.publisher.publish([message])
        transport.publisher.publish([message])
        assert set(transport.bodies()) == {message.body}

    def test_messages_of_one_call_with_the_same_ordering_key_keep_their_order(
        self, transport: Transport
    ) -> None:
        batch = [
            outgoing(f"message-{number}", queue=transport.queue, ordering_key="order-1")
            for number in range(5)
        ]
        transport.publisher.publish(batch)
        if transport.traits.ordering_keys:
            assert _received_one_by_one(transport) == [message.body for message in batch]
        else:
            assert sorted(_received_one_by_one(transport)) == [message.body for message in batch]

    def test_a_delayed_message_is_not_delivered_before_its_time(
        self, transport: Transport, clock: PassingTime
    ) -> None:
        unit = transport.traits.unit
        now, later = (
            outgoing("now", queue=transport.queue),
            outgoing("later", queue=transport.queue, delay=2 * unit),
        )
        transport.publisher.publish([later, now])
        assert transport.bodies() == [now.body]
        clock.advance(unit)
        assert transport.bodies() == []
        clock.advance(unit)
        assert later.body in transport.bodies()

    def test_the_longest_delay_that_an_output_may_have_is_taken(self, transport: Transport) -> None:
        transport.publisher.publish([outgoing(queue=transport.queue, delay=MAX_DELAY)])
        assert transport.bodies() == []

    def test_a_longer_delay_is_refused_and_not_shortened(self, transport: Transport) -> None:
        longest = transport.traits.max_delay
        too_long = outgoing(
            queue=transport.queue, delay=(MAX_DELAY if longest is None else longest) + _A_MOMENT
        )
        with nullcontext() if longest is None else pytest.raises(PermanentError, match="message-1"):
            transport.publisher.publish([too_long])
        assert transport.bodies() == []

    def test_the_largest_message_goes_through(self, transport: Transport) -> None:
        # An envelope, since an adapter may part content from what it can read.
        envelope = b'{"specversion":"1.0","tenantid":"%b","datacontenttype":"application/json","data":"%b"}'
        room = MAX_MESSAGE_BYTES - len(envelope % (TENANT.encode(), b""))
        body = envelope % (TENANT.encode(), b"x" * room)
        transport.publisher.publish([outgoing(queue=transport.queue, body=body)])
        assert transport.bodies() == [body]

    def test_a_message_that_is_too_large_is_refused_by_name(self, transport: Transport) -> None:
        largest = transport.traits.max_body
        body = b'"%b"' % (b"x" * (MAX_MESSAGE_BYTES if largest is None else largest))
        with nullcontext() if largest is None else pytest.raises(PermanentError, match="message-1"):
            transport.publisher.publish([outgoing(queue=transport.queue, body=body)])
        assert transport.bodies() == ([body] if largest is None else [])

    def test_many_threads_publish_and_nothing_is_lost(self, transport: Transport) -> None:
        def publish(thread: int) -> None:
            for number in range(5):
                transport.publisher.publish([outgoing(f"message-{thread}-{number}", queue=transport.queue)])

        all_at_once(publish)
        assert len(set(transport.bodies())) == 5 * THREADS


def _received_one_by_one(transport: Transport) -> list[bytes]:
    """The bodies in the order in which they come when each is completed before the next is asked for."""
    bodies = []
    for _ in range(10):
        batch = transport.consumer.receive(transport.queue, max_messages=1, visibility=transport.visibility)
        bodies += [delivery.body for delivery in batch]
        transport.settle(batch, Complete())
    return bodies
