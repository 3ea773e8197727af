"""Dead letters in Service Bus: the suite, and what only a broker with locks, counts and a place of its own can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from azure.servicebus import ServiceBusClient
from azure.servicebus.amqp import AmqpAnnotatedMessage
from typing_extensions import override

from api_exchange_azure.servicebus.consumer import ServiceBusMessageConsumer
from api_exchange_azure.servicebus.dead_letters import ServiceBusDeadLetters
from api_exchange_azure.servicebus.inspector import ServiceBusQueueInspector
from api_exchange_azure.servicebus.senders import Senders
from api_exchange_azure.servicebus.wire import Notes, Parcel
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.domain.claim_check import PayloadClaim, claim_in
from api_exchange_core.domain.dead_letter import Letter, LetterId, LetterKind, StoredLetter, contents
from api_exchange_core.domain.delivery import DeadLetter, Retry, Settlement
from api_exchange_core.domain.envelope import decode, encode, encode_letter
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_testing import InMemoryPayloadStore
from api_exchange_testing.conformance import DeadLettersSuite, PassingTime, QueueTraits, Transport
from api_exchange_testing.servicebus import StoredMessage
from packages.azure.tests.administration import Administration
from packages.azure.tests.namespace import IN_ORDER, LOCK, PREFIX, QUEUES, Namespace

_QUEUE = QueueName("orders-in")
_GRAVE = PREFIX + "orders-in-dlq"
_TENANT = TenantId("customer-a")


class _Passing(Sleeper):
    """Lets the broker's time pass in place of ours."""

    def __init__(self, clock: PassingTime, factor: int = 1) -> None:
        self._clock = clock
        self._factor = factor

    @override
    def sleep(self, time: timedelta) -> None:
        self._clock.advance(self._factor * time)

    @override
    async def sleep_async(self, time: timedelta) -> None:
        self.sleep(time)


@pytest.fixture(scope="module")
def consumer(namespace_of_module: Namespace) -> Iterator[ServiceBusMessageConsumer]:
    consumer = namespace_of_module.consumer()
    yield consumer
    consumer.close()


@pytest.fixture(scope="module")
def operator(namespace_of_module: Namespace) -> Iterator[ServiceBusDeadLetters]:
    letters = ServiceBusDeadLetters(namespace_of_module.senders, SystemSleeper())
    yield letters
    letters.close()


@pytest.mark.slow  # each receive that finds nothing waits for it
class TestServiceBusDeadLetters(DeadLettersSuite):
    @pytest.fixture
    def clock(self, namespace: Namespace, consumer: ServiceBusMessageConsumer) -> PassingTime:
        for name in QUEUES:  # what an earlier test has left on its way to the consumer
            consumer.receive(QueueName(name), max_messages=100, visibility=LOCK)
        return namespace.clock

    @pytest.fixture
    def transport(
        self, clock: PassingTime, namespace: Namespace, consumer: ServiceBusMessageConsumer
    ) -> Transport:
        return Transport(
            publisher=namespace.publisher,
            consumer=consumer,
            traits=QueueTraits(ordering_keys=False, fair=False),
        )

    @pytest.fixture
    def dead_letters(self, transport: Transport, operator: ServiceBusDeadLetters) -> ServiceBusDeadLetters:
        return operator


def test_of_hundreds_a_few_are_moved_and_the_others_are_handed_out_once_in_their_lives(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    _bury(namespace, *(_letter(f"m-{number}") for number in range(300)))
    ids = _ids(operator)
    for chosen in ([150, 3, 77], [151, 152], [299, 0]):
        wanted = [ids[number] for number in chosen]
        assert sorted(operator.replay(_QUEUE, wanted, until=_now())) == sorted(wanted)
    assert list(operator.discard(_QUEUE, [ids[40], ids[298]], until=_now())) == [ids[40], ids[298]]
    assert _sent(namespace) == [f"m-{number}" for number in (3, 77, 150, 151, 152, 0, 299)]
    left = namespace.broker.messages(_GRAVE)
    assert [decode(_body(one)).id for one in left] == [
        f"m-{number}" for number in range(300) if number not in {0, 3, 40, 77, 150, 151, 152, 298, 299}
    ]
    assert {one.delivery_count for one in left} == {1}
    assert {one.state for one in left} == {"deferred"}
    assert [letter.id for letter in _scanned(operator)] == [
        id_ for number, id_ in enumerate(ids) if number not in {0, 3, 40, 77, 150, 151, 152, 298, 299}
    ]


def test_what_two_operators_choose_at_once_is_put_back_once(namespace: Namespace) -> None:
    _bury(namespace, *(_letter(f"m-{number}") for number in range(120)))
    answers: dict[int, Sequence[LetterId]] = {}
    ready = Barrier(2)

    def replay(name: int, wanted: slice) -> None:
        with ServiceBusClient.from_connection_string(
            namespace.broker.connection_string, retry_total=0
        ) as client:
            senders = Senders(client, PREFIX)
            letters = ServiceBusDeadLetters(senders, SystemSleeper())
            ids = [one.id for one in _scanned(letters)]
            ready.wait()
            answers[name] = list(letters.replay(_QUEUE, ids[wanted], until=_now()))
            letters.close()
            senders.close()

    threads = [
        Thread(target=replay, args=(0, slice(0, 80))),
        Thread(target=replay, args=(1, slice(40, 120))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers[0]) + len(answers[1]) == len({*answers[0], *answers[1]}) == 120
    assert sorted(_sent(namespace)) == sorted(f"m-{number}" for number in range(120))
    assert namespace.broker.messages(_GRAVE) == ()


def test_an_operator_that_is_done_keeps_nothing_from_others_that_is_buried_later(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    _bury(namespace, _letter("m-1"))
    operator.discard(_QUEUE, _ids(operator), until=_now())
    _bury(namespace, _letter("m-2"))
    with namespace.client.get_queue_receiver(_GRAVE) as somebody:
        (message,) = somebody.receive_messages(1, 2)
        somebody.abandon_message(message)


@pytest.mark.slow  # it is tried again and again, and each time takes a link
def test_a_letter_in_other_hands_is_waited_for_and_then_named(namespace: Namespace) -> None:
    operator = ServiceBusDeadLetters(namespace.senders, _Passing(namespace.clock, factor=0))
    _bury(namespace, _letter("m-1"), _letter("m-2"))
    first, second = _ids(operator)
    with namespace.client.get_queue_receiver(_GRAVE) as somebody:
        assert len(somebody.receive_messages(1, 1)) == 1
        with pytest.raises(TransientError, match="1 letters in 'test-orders-in-dlq' are locked by somebody"):
            operator.replay(_QUEUE, [first, second], until=_now())
    assert _sent(namespace) == ["m-2"]
    operator.close()
    dead = ServiceBusDeadLetters(namespace.senders, _Passing(namespace.clock, factor=100))
    assert list(dead.replay(_QUEUE, [first], until=namespace.clock.now())) == [first]
    dead.close()


def test_letters_that_cannot_be_sent_stay_and_are_free_at_once(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    _bury(namespace, _letter("m-1"))
    (id_,) = _ids(operator)
    namespace.broker.faults.throttle(1)
    with pytest.raises(TransientError, match="throttles"):
        operator.replay(_QUEUE, [id_], until=_now())
    namespace.broker.faults.throttle(0)
    assert list(operator.replay(_QUEUE, [id_], until=_now())) == [id_]
    assert _sent(namespace) == ["m-1"]


def test_what_the_broker_has_put_aside_is_among_the_letters(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    _bury(namespace, _letter("m-0"))
    _put_aside(namespace, _message("m-1"), _message("m-2"))
    ours, first, second = _scanned(operator)
    told = Letter.of(first)
    assert first.id.startswith("orders-in/broker/")
    assert (told.kind, told.message_id) == (LetterKind.FOREIGN, "m-1")
    assert operator.get(first.id) == first
    until = namespace.clock.now()
    assert list(operator.replay(_QUEUE, [first.id], until=until)) == [first.id]
    assert list(operator.discard(_QUEUE, [second.id], until=until)) == [second.id]
    (sent,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert (sent.body, sent.properties) == (encode(_message("m-1")), {"kind": "express"})
    assert namespace.broker.dead_letters(PREFIX + _QUEUE) == ()
    assert _scanned(operator) == [ours]


def test_a_letter_that_the_broker_puts_aside_itself_stays_a_letter(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    _bury(namespace, _letter("m-1"), _letter("m-2"))
    while namespace.broker.messages(_GRAVE):  # as when an operator dies with it in hand, again and again
        with namespace.client.get_queue_receiver(_GRAVE) as somebody:
            for one in somebody.receive_messages(2, 0.2):
                somebody.abandon_message(one)
    first, second = _scanned(operator)
    told = Letter.of(first)
    assert first.id.startswith("orders-in/aside/")
    assert (told.kind, told.message_id, told.queue) == (LetterKind.MESSAGE, "m-1", "orders-in")
    assert operator.get(first.id) == first
    assert list(operator.replay(_QUEUE, [first.id], until=_now())) == [first.id]
    (sent,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert (decode(_body(sent)).id, sent.properties) == ("m-1", {})
    assert list(operator.discard(_QUEUE, [second.id], until=_now())) == [second.id]
    assert namespace.broker.dead_letters(_GRAVE) == ()


def test_a_queue_that_is_gone_has_its_letters_left(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    assert operator.get(LetterId("nowhere/broker/1")) is None
    with pytest.raises(PermanentError, match="there is no queue 'test-nowhere-dlq'"):
        list(operator.scan(QueueName("nowhere"), until=_now()))


@pytest.mark.parametrize("body", [b"hello", b"[1]", b'{"order": 7}'])
def test_what_is_no_message_is_shown_and_discarded_and_a_replay_says_why_it_cannot(
    namespace: Namespace, operator: ServiceBusDeadLetters, body: bytes
) -> None:
    _bury(namespace, _letter("m-1"), body)
    letter, foreign = _scanned(operator)
    assert Letter.of(foreign).kind is LetterKind.FOREIGN
    with pytest.raises(
        PermanentError, match=f"letter {foreign.id!r} of queue 'orders-in' cannot be replayed"
    ):
        operator.replay(_QUEUE, [letter.id, foreign.id], until=_now())
    assert _scanned(operator) == [letter, foreign]
    assert list(operator.discard(_QUEUE, [foreign.id], until=_now())) == [foreign.id]
    assert _scanned(operator) == [letter]


def test_a_body_that_is_a_value_is_shown_as_its_text(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    with namespace.client.get_queue_sender(_GRAVE) as sender:
        sender.send_messages(AmqpAnnotatedMessage(value_body={"order": 7}))
    (letter,) = _scanned(operator)
    assert (Letter.of(letter).kind, b"order" in letter.body) == (LetterKind.FOREIGN, True)


def test_a_letter_with_its_content_apart_is_listed_shown_and_replayed_with_it(namespace: Namespace) -> None:
    store = _Counting()
    claims = ClaimCheck(store, 1_000)
    whole = encode_letter(_message("m-1", text="x" * 5_000), _FAILURE)
    _bury(namespace, claims.checked_in(whole, _TENANT))
    operator = ServiceBusDeadLetters(namespace.senders, SystemSleeper(), claims=claims)
    (listed,) = _scanned(operator)
    told = Letter.of(listed)
    assert (told.kind, told.message_id, told.tenant_id) == (LetterKind.MESSAGE, "m-1", _TENANT)
    assert told.size > 5_000 > len(listed.body)
    shown = operator.get(listed.id)
    assert shown is not None
    assert contents(shown.body) == contents(whole)
    puts = store.puts
    assert list(operator.replay(_QUEUE, [listed.id], until=_now())) == [listed.id]
    (sent,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert claim_in(_body(sent)) is not None
    assert decode(claims.whole(_body(sent))).payload == {"text": "x" * 5_000}
    assert store.puts == puts + 1  # its age begins anew
    operator.close()


def test_a_letter_whose_content_is_lost_is_listed_and_replayed_as_it_is(namespace: Namespace) -> None:
    parting = ClaimCheck(InMemoryPayloadStore(), 1_000)
    letter = encode_letter(_message("m-1", text="x" * 5_000), _FAILURE)
    _bury(namespace, parting.checked_in(letter, _TENANT))
    operator = ServiceBusDeadLetters(
        namespace.senders, SystemSleeper(), claims=ClaimCheck(InMemoryPayloadStore(), 1_000)
    )
    (listed,) = _scanned(operator)
    assert operator.get(listed.id) == listed
    assert list(operator.replay(_QUEUE, [listed.id], until=_now())) == [listed.id]
    (sent,) = namespace.broker.messages(PREFIX + _QUEUE)
    assert claim_in(_body(sent)) is not None
    operator.close()


def test_each_replay_has_a_broker_id_of_its_own_and_none_of_the_adapters_notes(
    namespace: Namespace, operator: ServiceBusDeadLetters, consumer: ServiceBusMessageConsumer
) -> None:
    seen = []
    namespace.publisher.publish([_outgoing("m-1")])
    for _ in range(2):
        (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
        consumer.settle([Settlement(delivery, Retry(timedelta(hours=1)))])
        namespace.clock.advance(timedelta(hours=1))
        (delivery,) = consumer.receive(_QUEUE, max_messages=1, visibility=LOCK)
        letter = DeadLetter(encode_letter(decode(delivery.body), _FAILURE), reason="dead")
        consumer.settle([Settlement(delivery, letter)])
        (id_,) = (one.id for one in _scanned(operator, namespace.clock.now()))
        operator.replay(_QUEUE, [id_], until=namespace.clock.now())
        (sent,) = namespace.broker.messages(PREFIX + _QUEUE)
        assert sent.properties == {"kind": "express"}
        assert sent.message_id == f"customer-a/m-1/letter-{id_.rpartition('/')[2]}"
        seen.append(sent.message_id)
    assert seen[0] != seen[1]


def test_a_message_of_a_session_is_replayed_into_it_and_one_of_none_into_its_own(
    namespace: Namespace,
) -> None:
    operator = ServiceBusDeadLetters(
        namespace.senders, SystemSleeper(), session_queues=namespace.session_queues
    )
    namespace.senders.send(
        QueueName("in-order-dlq"),
        [
            Parcel(
                message_id="customer-a/m-1", body=_letter("m-1"), properties=Notes(session="s-1").properties
            ),
            Parcel(message_id="customer-a/m-2", body=_letter("m-2")),
        ],
    )
    ids = [one.id for page in operator.scan(IN_ORDER, until=_now()) for one in page]
    assert list(operator.replay(IN_ORDER, ids, until=_now())) == ids
    first, second = namespace.broker.messages(PREFIX + IN_ORDER)
    assert (first.session_id, second.session_id) == ("s-1", second.message_id)
    operator.close()


def test_letters_in_sessions_are_refused_by_name(namespace: Namespace) -> None:
    operator = ServiceBusDeadLetters(
        namespace.senders, SystemSleeper(), session_queues={QueueName("orders-in-dlq")}
    )
    with pytest.raises(PermanentError, match="queue 'test-orders-in-dlq' requires sessions"):
        list(operator.scan(_QUEUE, until=_now()))


def test_deferred_letters_and_those_of_the_broker_are_counted(
    namespace: Namespace, operator: ServiceBusDeadLetters
) -> None:
    _bury(namespace, _letter("m-1"), _letter("m-2"), _letter("m-3"))
    _put_aside(namespace, _message("m-4"))
    last = _ids(operator)[2]
    operator.discard(_QUEUE, [last], until=_now())
    names = [f"{PREFIX}{queue}{end}" for queue in QUEUES for end in ("", "-dlq")]
    with Administration(namespace, names) as administration, administration.client() as client:
        assert ServiceBusQueueInspector(client, PREFIX).depths() == {"orders-in-dlq": 3}


_FAILURE = Failure(
    FunctionName("to-canonical"), _QUEUE, "KeyError", "'Straße'", "0123456789abcdef", 5, datetime.now(UTC)
)


class _Counting(InMemoryPayloadStore):
    puts = 0

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        self.puts += 1
        return super().put(tenant_id, content)


def _now() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def _message(name: str, *, text: str = "small") -> Message:
    return Message(
        id=MessageId(name),
        tenant_id=_TENANT,
        source="/orders/fetch",
        payload={"text": text},
        time=datetime(2026, 3, 1, tzinfo=UTC),
        correlation_id="request-1",
    )


def _letter(name: str) -> bytes:
    return encode_letter(_message(name), _FAILURE)


def _outgoing(name: str) -> Outgoing:
    return Outgoing(
        queue=_QUEUE,
        tenant_id=_TENANT,
        message_id=MessageId(name),
        body=encode(_message(name)),
        properties={"kind": "express"},
    )


def _bury(namespace: Namespace, *letters: bytes) -> None:
    parcels = [Parcel(message_id=f"letter-{number}", body=body) for number, body in enumerate(letters)]
    namespace.senders.send(QueueName("orders-in-dlq"), parcels)


def _put_aside(namespace: Namespace, *messages: Message) -> None:
    """As the broker does by itself once a message was handed out too often."""
    namespace.publisher.publish([_outgoing(one.id) for one in messages])
    with namespace.client.get_queue_receiver(PREFIX + _QUEUE) as receiver:
        left = len(messages)
        while left:  # a link that another test has left open may have some, until the client gives them back
            for one in receiver.receive_messages(left, 1):
                receiver.dead_letter_message(one, reason="MaxDeliveryCountExceeded")
                left -= 1


def _scanned(letters: ServiceBusDeadLetters, until: datetime | None = None) -> list[StoredLetter]:
    moment = _now() if until is None else until
    return [letter for page in letters.scan(_QUEUE, until=moment) for letter in page]


def _ids(letters: ServiceBusDeadLetters) -> list[LetterId]:
    return [letter.id for letter in _scanned(letters)]


def _sent(namespace: Namespace) -> list[str]:
    return [decode(_body(one)).id for one in namespace.broker.messages(PREFIX + _QUEUE)]


def _body(stored: StoredMessage) -> bytes:
    assert stored.body is not None
    return stored.body
