"""What every `DeadLetters` does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from pydantic_core import to_json

from api_exchange_core.domain.dead_letter import LetterId, StoredLetter
from api_exchange_core.domain.delivery import Complete, DeadLetter, Settlement
from api_exchange_core.domain.envelope import decode, encode, encode_letter, encode_raw_letter
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_testing.conformance._samples import (
    EVERY_SCRIPT,
    FUNCTION,
    NOW,
    OTHER_TENANT,
    TENANT,
    outgoing,
)
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.suite import PassingTime, Suite
from api_exchange_testing.conformance.transport import Transport

_RAW = b"\xff\xfe no message \x00"
_UNKNOWN = (LetterId("987654321"), LetterId("nothing like an id"), LetterId(""), LetterId("9" * 40))
_MANY = 130


class DeadLettersSuite(Suite):
    """Needs the fixtures `transport`, which returns a `Transport`, and `dead_letters`, which returns the adapter."""

    def test_where_nothing_died_there_are_no_letters(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        transport.publisher.publish([outgoing(queue=transport.queue)])
        assert _scanned(dead_letters, transport.queue, clock) == []
        assert [dead_letters.get(id_) for id_ in _UNKNOWN] == [None] * len(_UNKNOWN)

    def test_a_letter_says_where_and_when_it_died_and_whose_it_is(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        letter = _buried(transport, _message("first"), tenant=OTHER_TENANT)
        (found,) = _scanned(dead_letters, transport.queue, clock)
        assert (found.queue, found.body) == (transport.queue, letter)
        assert found.tenant_id in {OTHER_TENANT, None}
        assert abs(found.buried_at - clock.now()) <= transport.traits.unit

    def test_all_letters_of_a_queue_are_scanned_oldest_first_and_no_others(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        first = [_buried(transport, _message(f"first-{number}")) for number in range(3)]
        clock.advance(transport.traits.unit)
        _buried(transport, _message("elsewhere"), queue=transport.queues[1])
        second = _buried_at_once(transport, [_message(f"second-{number}") for number in range(_MANY)])
        scanned = [letter.body for letter in _scanned(dead_letters, transport.queue, clock)]
        assert scanned[:3] == first
        assert sorted(scanned[3:]) == sorted(second)

    def test_a_scan_disturbs_nothing(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried(transport, _message("first"))
        _buried(transport, _message("second"))
        once = _scanned(dead_letters, transport.queue, clock)
        assert _scanned(dead_letters, transport.queue, clock) == once

    def test_a_letter_is_found_by_its_id_in_whichever_queue(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        for queue in transport.queues:
            _buried(transport, _message("first"), queue=queue)
            (letter,) = _scanned(dead_letters, queue, clock)
            assert dead_letters.get(letter.id) == letter

    def test_a_replayed_message_is_as_it_was_but_for_being_replayed(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        message = _message("first")
        _buried(transport, message)
        _replay_all(dead_letters, transport.queue, clock)
        delivery = transport.receive_one()
        assert delivery.receive_count == 1
        assert decode(delivery.body) == _message("first", replays=1)
        assert delivery.body.endswith(b'"data":%b}' % to_json(message.payload))
        assert _scanned(dead_letters, transport.queue, clock) == []

    def test_unreadable_bytes_are_replayed_as_they_were(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        failure = _failure(transport.queue)
        _bury(transport, _RAW, encode_raw_letter(_RAW, failure, id_="letter-1", time=NOW))
        _replay_all(dead_letters, transport.queue, clock)
        assert transport.bodies() == [_RAW]

    def test_what_is_no_message_is_not_replayed_and_nothing_that_was_asked_for_with_it(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried(transport, _message("first"))
        clock.advance(transport.traits.unit)
        _bury(transport, _RAW, _RAW, message_id="foreign")
        scanned = _scanned(dead_letters, transport.queue, clock)
        (foreign,) = (letter.id for letter in scanned if letter.body == _RAW)
        with pytest.raises(PermanentError, match="is no message of an exchange") as refused:
            dead_letters.replay(transport.queue, [letter.id for letter in scanned], until=clock.now())
        assert foreign in str(refused.value)
        assert transport.bodies() == []
        assert _scanned(dead_letters, transport.queue, clock) == scanned
        assert list(dead_letters.discard(transport.queue, [foreign], until=clock.now())) == [foreign]
        _replay_all(dead_letters, transport.queue, clock)
        assert [decode(body).id for body in transport.bodies()] == ["first"]

    def test_a_replayed_message_can_be_completed_or_die_again(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried(transport, _message("first"))
        _replay_all(dead_letters, transport.queue, clock)
        delivery = transport.receive_one()
        again = encode_letter(decode(delivery.body), _failure(transport.queue))
        transport.settle([delivery], DeadLetter(again, reason="again"))
        _replay_all(dead_letters, transport.queue, clock)
        last = transport.receive_one()
        assert decode(last.body).replays == 2
        transport.settle([last], Complete())
        clock.advance(transport.visibility)
        assert transport.receive() == []
        assert _scanned(dead_letters, transport.queue, clock) == []

    def test_replayed_messages_come_in_the_order_in_which_they_died_behind_what_waits(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        for number in range(5):
            _buried(transport, _message(f"{number}"))
            clock.advance(timedelta(seconds=1))
        waiting = encode(_message("waiting"))
        transport.publisher.publish([outgoing("waiting", queue=transport.queue, body=waiting)])
        clock.advance(timedelta(seconds=1))
        ids = [letter.id for letter in _scanned(dead_letters, transport.queue, clock)]
        dead_letters.replay(transport.queue, ids[::-1], until=clock.now())
        received = [decode(body).id for body in transport.bodies()]
        in_order = ["waiting", *(f"{number}" for number in range(5))]
        assert (received if transport.traits.oldest_first else sorted(received)) == (
            in_order if transport.traits.oldest_first else sorted(in_order)
        )

    def test_a_replayed_message_has_its_ordering_key_again_and_waits_for_who_is_in_hand(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        if not transport.traits.ordering_keys:
            return
        _buried(transport, _message("first"), ordering_key="Größe")
        second = encode(_message("second"))
        transport.publisher.publish(
            [outgoing("second", queue=transport.queue, body=second, ordering_key="Größe")]
        )
        in_hand = transport.receive_one()
        _replay_all(dead_letters, transport.queue, clock)
        assert transport.bodies() == []
        transport.settle([in_hand], Complete())
        assert [decode(body).id for body in transport.bodies()] == ["first"]

    def test_letters_do_not_wait_for_each_other(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried(transport, _message("first"), ordering_key="order-1")
        second = _buried(transport, _message("second"), ordering_key="order-1")
        first_id, second_id = (one.id for one in _scanned(dead_letters, transport.queue, clock))
        dead_letters.discard(transport.queue, [first_id], until=clock.now())
        assert [one.body for one in _scanned(dead_letters, transport.queue, clock)] == [second]
        assert set(dead_letters.replay(transport.queue, [second_id], until=clock.now())) == {second_id}

    def test_only_the_letters_that_are_named_are_moved(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        for name in ("replayed", "discarded", "left"):
            _buried(transport, _message(name))
        ids = {_id_of(letter): letter.id for letter in _scanned(dead_letters, transport.queue, clock)}
        until = clock.now()
        assert list(dead_letters.replay(transport.queue, [ids["replayed"]], until=until)) == [ids["replayed"]]
        assert list(dead_letters.discard(transport.queue, [ids["discarded"]], until=until)) == [
            ids["discarded"]
        ]
        assert [_id_of(one) for one in _scanned(dead_letters, transport.queue, clock)] == ["left"]
        assert [decode(body).id for body in transport.bodies()] == ["replayed"]

    def test_what_arrived_after_the_moment_of_the_selection_stays_untouched(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried(transport, _message("early"))
        until = clock.now()
        clock.advance(transport.traits.unit)
        _buried(transport, _message("late"))
        ids = [letter.id for letter in _scanned(dead_letters, transport.queue, clock)]
        assert len(ids) == 2
        assert [_id_of(one) for page in dead_letters.scan(transport.queue, until=until) for one in page] == [
            "early"
        ]
        assert len(dead_letters.replay(transport.queue, ids, until=until)) == 1
        assert list(dead_letters.discard(transport.queue, ids, until=until)) == []
        assert [_id_of(one) for one in _scanned(dead_letters, transport.queue, clock)] == ["late"]

    def test_ids_that_are_not_there_are_not_answered_and_harm_nothing(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried(transport, _message("first"))
        (letter,) = _scanned(dead_letters, transport.queue, clock)
        until = clock.now()
        assert list(dead_letters.replay(transport.queue, _UNKNOWN, until=until)) == []
        assert list(dead_letters.discard(transport.queue, _UNKNOWN, until=until)) == []
        assert list(dead_letters.replay(transport.queues[1], [letter.id], until=until)) == []
        assert list(dead_letters.discard(transport.queues[1], [letter.id], until=until)) == []
        assert list(dead_letters.replay(transport.queue, [], until=until)) == []
        assert _scanned(dead_letters, transport.queue, clock) == [letter]

    def test_a_message_that_waits_in_its_queue_is_no_letter(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried(transport, _message("first"))
        (letter,) = _scanned(dead_letters, transport.queue, clock)
        _replay_all(dead_letters, transport.queue, clock)
        assert dead_letters.get(letter.id) is None
        assert list(dead_letters.replay(transport.queue, [letter.id], until=clock.now())) == []
        assert len(transport.receive()) == 1

    def test_of_many_that_replay_a_letter_at_once_one_does(
        self, transport: Transport, dead_letters: DeadLetters, clock: PassingTime
    ) -> None:
        _buried_at_once(transport, [_message(f"message-{number}") for number in range(40)])
        ids = [letter.id for letter in _scanned(dead_letters, transport.queue, clock)]
        until = clock.now()

        def replay(_: int) -> Sequence[LetterId]:
            return list(persistently(lambda: dead_letters.replay(transport.queue, ids, until=until)))

        replayed = [id_ for answered in all_at_once(replay) for id_ in answered]
        assert sorted(replayed) == sorted(ids)
        assert len(transport.bodies()) == len(ids)


def _message(name: str, *, replays: int = 0) -> Message:
    return Message(
        id=MessageId(name),
        tenant_id=TENANT,
        source="/orders/fetch",
        payload={"text": EVERY_SCRIPT, "amount": 1.5, "big": 2**70, "lines": [None, True]},
        time=NOW,
        correlation_id="request-1",
        causation_id="message-0",
        metadata={"channel": EVERY_SCRIPT},
        replays=replays,
    )


def _failure(queue: QueueName) -> Failure:
    return Failure(FUNCTION, queue, "KeyError", EVERY_SCRIPT, "0123456789abcdef", 5, NOW)


def _buried(
    transport: Transport,
    message: Message,
    *,
    queue: QueueName | None = None,
    tenant: TenantId = TENANT,
    ordering_key: str | None = None,
) -> bytes:
    """Let *message* die; its letter."""
    name = transport.queue if queue is None else queue
    letter = encode_letter(message, _failure(name))
    body = encode(message)
    _bury(
        transport, body, letter, message_id=message.id, queue=name, tenant=tenant, ordering_key=ordering_key
    )
    return letter


def _bury(
    transport: Transport,
    body: bytes,
    letter: bytes,
    *,
    message_id: str = "message-1",
    queue: QueueName | None = None,
    tenant: TenantId = TENANT,
    ordering_key: str | None = None,
) -> None:
    name = transport.queue if queue is None else queue
    sent = outgoing(message_id, queue=name, body=body, tenant=tenant, ordering_key=ordering_key)
    transport.publisher.publish([sent])
    transport.settle([transport.receive_one(name)], DeadLetter(letter, reason="dead"))


def _buried_at_once(transport: Transport, messages: Sequence[Message]) -> list[bytes]:
    transport.publisher.publish(
        [outgoing(one.id, queue=transport.queue, body=encode(one)) for one in messages]
    )
    failure = _failure(transport.queue)
    letters = {encode(one): encode_letter(one, failure) for one in messages}
    transport.consumer.settle(
        [Settlement(one, DeadLetter(letters[one.body], reason="dead")) for one in transport.receive()]
    )
    return list(letters.values())


def _scanned(dead_letters: DeadLetters, queue: QueueName, clock: PassingTime) -> list[StoredLetter]:
    return [letter for page in dead_letters.scan(queue, until=clock.now()) for letter in page]


def _replay_all(dead_letters: DeadLetters, queue: QueueName, clock: PassingTime) -> None:
    ids = [letter.id for letter in _scanned(dead_letters, queue, clock)]
    assert set(dead_letters.replay(queue, ids, until=clock.now())) == set(ids)


def _id_of(letter: StoredLetter) -> str:
    return decode(letter.body).id
