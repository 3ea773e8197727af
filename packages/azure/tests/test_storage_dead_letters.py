"""Dead letters in Storage Queues: the suite, and what only a service that hides what it hands out can do."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from azure.storage.queue import QueueServiceClient
from typing_extensions import override

from api_exchange_azure.storage.consumer import StorageQueueConsumer
from api_exchange_azure.storage.copies import StorageCopies
from api_exchange_azure.storage.dead_letters import StorageQueueDeadLetters
from api_exchange_azure.storage.inspector import StorageQueueInspector
from api_exchange_azure.storage.publisher import StorageQueuePublisher
from api_exchange_azure.storage.queues import StorageQueues
from api_exchange_azure.storage.walk import HIDDEN
from api_exchange_azure.storage.wire import Content
from api_exchange_core.adapters.claim_check.queues import ClaimCheck
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.domain.claim_check import claim_in
from api_exchange_core.domain.dead_letter import Letter, LetterId, LetterKind, StoredLetter, contents
from api_exchange_core.domain.envelope import decode, encode, encode_letter
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_testing import InMemoryPayloadStore
from api_exchange_testing.conformance import DeadLettersSuite, PassingTime, QueueTraits, Transport
from packages.azure.tests.azurite.server import Azurite

pytestmark = pytest.mark.timeout(600)

_QUEUE = QueueName("orders-in")
_TENANT = TenantId("customer-a")


class _AzuriteClock(PassingTime):
    def __init__(self, azurite: Azurite) -> None:
        self._azurite = azurite

    @override
    def now(self) -> datetime:
        return self._azurite.now()

    @override
    def advance(self, by: timedelta) -> None:
        self._azurite.advance(by)


class _Passing(Sleeper):
    """Lets Azurite's time pass in place of ours."""

    def __init__(self, clock: PassingTime, factor: int = 1) -> None:
        self._clock = clock
        self._factor = factor

    @override
    def sleep(self, time: timedelta) -> None:
        self._clock.advance(self._factor * time)

    @override
    async def sleep_async(self, time: timedelta) -> None:
        self.sleep(time)


@pytest.fixture
def clock(azurite: Azurite) -> PassingTime:
    return _AzuriteClock(azurite)


@pytest.fixture
def queues(azurite: Azurite) -> StorageQueues:
    service = QueueServiceClient.from_connection_string(azurite.connection_string)
    queues = StorageQueues(service, f"t{uuid4().hex[:8]}-")
    for name in ("orders-in", "orders-in-dlq", "orders-out", "orders-out-dlq"):
        service.create_queue(queues.prefix + name)
    return queues


@pytest.fixture
def operator(queues: StorageQueues, clock: PassingTime) -> StorageQueueDeadLetters:
    return StorageQueueDeadLetters(queues, _Passing(clock, factor=0))


class TestStorageQueueDeadLetters(DeadLettersSuite):
    @pytest.fixture
    def clock(self, azurite: Azurite) -> PassingTime:
        return _AzuriteClock(azurite)

    @pytest.fixture
    def transport(self, queues: StorageQueues, clock: PassingTime) -> Transport:
        return Transport(
            publisher=StorageQueuePublisher(queues),
            consumer=StorageQueueConsumer(queues, StorageCopies(queues), clock),
            traits=QueueTraits(
                oldest_first=False,
                ordering_keys=False,
                fair=False,
                receipts_expire=False,
                max_delay=MAX_DELAY,
            ),
        )

    @pytest.fixture
    def dead_letters(self, queues: StorageQueues) -> StorageQueueDeadLetters:
        return StorageQueueDeadLetters(queues, SystemSleeper())


def test_of_hundreds_a_few_are_moved_and_the_others_are_visible_at_once(
    queues: StorageQueues, operator: StorageQueueDeadLetters
) -> None:
    _bury(queues, *(_letter(f"m-{number}") for number in range(200)))
    by_name = {decode(one.body).id: one.id for one in _scanned(operator)}
    assert len(by_name) == 200
    chosen = [by_name[MessageId(f"m-{number}")] for number in (150, 3, 77)]
    assert sorted(operator.replay(_QUEUE, chosen, until=_ever())) == sorted(chosen)
    dropped = by_name[MessageId("m-199")]
    assert list(operator.discard(_QUEUE, [dropped], until=_ever())) == [dropped]
    assert sorted(_sent(queues)) == ["m-150", "m-3", "m-77"]
    left = {one.id for one in _scanned(operator)}
    assert left == {*by_name.values()} - {*chosen, dropped}
    assert len(queues[dead_letter_queue(_QUEUE)].peek_messages(32)) == 32


def test_up_to_32_letters_are_looked_at_without_receiving_them(
    queues: StorageQueues, operator: StorageQueueDeadLetters
) -> None:
    _bury(queues, *(_letter(f"m-{number}") for number in range(32)))
    ids = [one.id for one in _scanned(operator)]
    assert operator.get(ids[7]) is not None
    peeked = queues[dead_letter_queue(_QUEUE)].peek_messages(32)
    assert {one.dequeue_count for one in peeked} == {0}


def test_what_two_operators_choose_at_once_is_put_back_once(
    queues: StorageQueues, clock: PassingTime
) -> None:
    _bury(queues, *(_letter(f"m-{number}") for number in range(100)))
    ids = [one.id for one in _scanned(StorageQueueDeadLetters(queues, _Passing(clock)))]
    answers: dict[int, Sequence[LetterId]] = {}
    ready = Barrier(2)

    def replay(name: int, wanted: Sequence[LetterId]) -> None:
        operator = StorageQueueDeadLetters(queues, SystemSleeper())
        ready.wait()
        answers[name] = list(operator.replay(_QUEUE, wanted, until=_ever()))

    threads = [Thread(target=replay, args=(0, ids[:70])), Thread(target=replay, args=(1, ids[30:]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([*answers[0], *answers[1]]) == sorted(ids)
    assert sorted(_sent(queues)) == sorted(f"m-{number}" for number in range(100))


def test_two_operators_that_look_at_once_both_see_all(queues: StorageQueues) -> None:
    _bury(queues, *(_letter(f"m-{number}") for number in range(80)))
    seen: dict[int, set[LetterId]] = {}
    ready = Barrier(2)

    def look(name: int) -> None:
        ready.wait()
        seen[name] = {one.id for one in _scanned(StorageQueueDeadLetters(queues, SystemSleeper()))}

    threads = [Thread(target=look, args=(name,)) for name in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(seen[0]), len(seen[1])) == (80, 80)


def test_what_an_operator_has_in_hand_when_he_dies_is_named_and_comes_back(
    queues: StorageQueues, clock: PassingTime, operator: StorageQueueDeadLetters
) -> None:
    _bury(queues, *(_letter(f"m-{number}") for number in range(3)))
    ids = [one.id for one in _scanned(operator)]
    received = queues[dead_letter_queue(_QUEUE)].receive_messages(
        max_messages=2, visibility_timeout=HIDDEN.seconds
    )
    assert len(list(received)) == 2  # and nothing is heard of him any more
    with pytest.raises(TransientError, match="hidden by somebody"):
        _scanned(operator)
    with pytest.raises(TransientError, match="come back within 120 seconds"):
        operator.discard(_QUEUE, ids, until=_ever())
    assert (
        len(
            list(
                StorageQueueDeadLetters(queues, _Passing(clock, factor=60)).discard(
                    _QUEUE, ids, until=_ever()
                )
            )
        )
        == 2
    )


def test_a_listing_that_ends_early_hides_nothing(
    queues: StorageQueues, operator: StorageQueueDeadLetters
) -> None:
    _bury(queues, *(_letter(f"m-{number}") for number in range(64)))
    pages = iter(operator.scan(_QUEUE, until=_ever()))
    assert len(next(pages)) == 32
    del pages
    assert len(_scanned(operator)) == 64


def test_what_the_host_has_put_aside_is_among_the_letters(
    queues: StorageQueues, operator: StorageQueueDeadLetters
) -> None:
    queues.service.create_queue(f"{queues.prefix}orders-in-poison")
    _bury(queues, _letter("m-0"))
    aside = QueueName("orders-in-poison")
    queues.send(aside, Content(body=encode(_message("m-1")), spent=3), delay=timedelta(0), what="one")
    ours, theirs = _scanned(operator)
    assert StorageQueueInspector(queues).depths() == {"orders-in-dlq": 2}
    told = Letter.of(theirs)
    assert (theirs.queue, told.kind, told.message_id) == (_QUEUE, LetterKind.FOREIGN, "m-1")
    assert operator.get(theirs.id) == theirs
    assert list(operator.replay(_QUEUE, [theirs.id], until=_ever())) == [theirs.id]
    assert _scanned(operator) == [ours]
    (sent,) = queues[_QUEUE].peek_messages(32)
    assert Content.in_text(sent.content) == Content(body=encode(_message("m-1")))


@pytest.mark.parametrize("text", ["hello", b64encode(b"[1]").decode(), b64encode(b'{"order": 7}').decode()])
def test_what_is_no_message_is_shown_and_discarded_and_a_replay_says_why_it_cannot(
    queues: StorageQueues, operator: StorageQueueDeadLetters, text: str
) -> None:
    _bury(queues, _letter("m-1"))
    (letter,) = _scanned(operator)
    queues[dead_letter_queue(_QUEUE)].send_message(text)
    (foreign,) = (one for one in _scanned(operator) if one != letter)
    assert Letter.of(foreign).kind is LetterKind.FOREIGN
    with pytest.raises(
        PermanentError, match=f"letter {foreign.id!r} of queue 'orders-in' cannot be replayed"
    ):
        operator.replay(_QUEUE, [letter.id, foreign.id], until=_ever())
    assert len(_scanned(operator)) == 2
    assert list(operator.discard(_QUEUE, [foreign.id], until=_ever())) == [foreign.id]
    assert _scanned(operator) == [letter]


def test_a_letter_with_its_content_apart_is_listed_shown_and_replayed_with_it(
    queues: StorageQueues, clock: PassingTime
) -> None:
    claims = ClaimCheck(InMemoryPayloadStore(), 40_000)
    operator = StorageQueueDeadLetters(queues, _Passing(clock), claims)
    whole = encode_letter(_message("m-1", text="x" * 100_000), _FAILURE)
    _bury(queues, claims.checked_in(whole, _TENANT))
    (listed,) = _scanned(operator)
    told = Letter.of(listed)
    assert (told.kind, told.message_id, told.tenant_id) == (LetterKind.MESSAGE, "m-1", _TENANT)
    assert told.size > 100_000 > len(listed.body)
    shown = operator.get(listed.id)
    assert shown is not None
    assert contents(shown.body) == contents(whole)
    assert list(operator.replay(_QUEUE, [listed.id], until=_ever())) == [listed.id]
    (sent,) = queues[_QUEUE].peek_messages(32)
    body = Content.in_text(sent.content).body
    assert claim_in(body) is not None
    assert decode(claims.whole(body)).payload == {"text": "x" * 100_000}


def test_properties_of_a_message_are_replayed_and_attempts_are_not(
    queues: StorageQueues, operator: StorageQueueDeadLetters
) -> None:
    content = Content(body=_letter("m-1"), spent=4, properties={"kind": "express"})
    queues.send(dead_letter_queue(_QUEUE), content, delay=timedelta(0), what="one")
    operator.replay(_QUEUE, [one.id for one in _scanned(operator)], until=_ever())
    (sent,) = queues[_QUEUE].peek_messages(32)
    replayed = Content.in_text(sent.content)
    assert (replayed.properties, replayed.spent) == ({"kind": "express"}, 0)


def test_letters_of_a_queue_that_is_not_there_are_refused_by_name(
    operator: StorageQueueDeadLetters,
) -> None:
    with pytest.raises(PermanentError, match=r"there is no queue '.*nowhere-dlq'"):
        list(operator.scan(QueueName("nowhere"), until=_ever()))


_FAILURE = Failure(
    FunctionName("to-canonical"), _QUEUE, "KeyError", "'Straße'", "0123456789abcdef", 5, datetime.now(UTC)
)


def _ever() -> datetime:
    return datetime.now(UTC) + timedelta(days=365)


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


def _bury(queues: StorageQueues, *letters: bytes) -> None:
    for body in letters:
        queues.send(dead_letter_queue(_QUEUE), Content(body=body), delay=timedelta(0), what="a letter")


def _scanned(letters: StorageQueueDeadLetters) -> list[StoredLetter]:
    return [letter for page in letters.scan(_QUEUE, until=_ever()) for letter in page]


def _sent(queues: StorageQueues) -> list[str]:
    received = queues[_QUEUE].receive_messages(messages_per_page=32)
    return [decode(Content.in_text(one.content).body).id for one in received]
