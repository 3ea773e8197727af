"""What is told of a dead letter, which ones a filter means, and what a replay sends."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from api_exchange_core.domain.claim_check import check_in
from api_exchange_core.domain.dead_letter import (
    Letter,
    LetterFilter,
    LetterId,
    LetterKind,
    StoredLetter,
    check_replayable,
    contents,
    revived,
)
from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.envelope import decode, encode, encode_letter, encode_raw_letter
from api_exchange_core.domain.errors import InvalidMessageError, PermanentError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MAX_COUNT, FunctionName, MessageId, QueueName, TenantId

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILURE = Failure("to-canonical", "orders", "KeyError", "'Lieferadresse'", "0123456789abcdef", 5, NOW)
MESSAGE = Message(
    id=MessageId("m-1"),
    tenant_id=TenantId("customer-a"),
    source="/orders/fetch",
    payload={"id": "größe", "price": 1.5},
    time=NOW,
    correlation_id="c-1",
    causation_id="m-0",
    entity=EntityReference("e-1", "4711", "order", "shop", 3, "customer-a"),
    attempt=5,
    metadata={"channel": "web"},
)
LETTER = encode_letter(MESSAGE, FAILURE)
RAW = bytes(range(256))
RAW_LETTER = encode_raw_letter(RAW, FAILURE, id_="x-1", time=NOW)

text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


def stored(body: bytes, *, buried_at: datetime = NOW, queue: str = "orders") -> StoredLetter:
    return StoredLetter(
        id=LetterId("7"),
        queue=QueueName(queue),
        body=body,
        buried_at=buried_at,
        tenant_id=TenantId("customer-b"),
    )


def test_a_replay_sends_the_message_as_it_was_at_its_first_attempt_and_counted() -> None:
    assert decode(revived(LETTER)) == replace(MESSAGE, attempt=1, replays=1)
    assert "failure" not in json.loads(revived(LETTER))


@pytest.mark.parametrize("replays", [-1, MAX_COUNT + 1, True, 1.0])
def test_a_message_cannot_say_that_it_was_replayed_a_senseless_number_of_times(replays: Any) -> None:
    with pytest.raises(InvalidMessageError, match="replays"):
        replace(MESSAGE, replays=replays)
    with pytest.raises(InvalidMessageError, match="replays"):
        decode(json.dumps(json.loads(encode(MESSAGE)) | {"replays": replays}).encode())


@given(json_values)
def test_a_replay_keeps_the_bytes_of_the_payload(payload: Any) -> None:
    message = decode(encode(replace(MESSAGE, payload=payload)))
    assert revived(encode_letter(message, FAILURE)).endswith(b'"data":%b}' % to_json(message.payload))


def test_each_replay_counts_and_the_count_outlives_the_next_death() -> None:
    letter = LETTER
    for count in (1, 2, 3):
        message = decode(revived(letter))
        assert message.replays == count
        letter = encode_letter(message, FAILURE)
        assert Letter.of(stored(letter)).replays == count


def test_a_count_that_cannot_grow_begins_anew() -> None:
    for count in (MAX_COUNT, -1, "many"):
        event = json.loads(LETTER) | {"replays": count}
        assert decode(revived(json.dumps(event).encode())).replays == 1


def test_a_replay_keeps_attributes_that_a_newer_framework_has_written() -> None:
    event = json.loads(LETTER) | {"envelopeversion": 2, "traceparent": "00-ab-cd-01"}
    again = json.loads(revived(json.dumps(event).encode()))
    assert (again["envelopeversion"], again["traceparent"]) == (2, "00-ab-cd-01")


def test_a_replay_of_unreadable_bytes_sends_these() -> None:
    assert revived(RAW_LETTER) == RAW


@pytest.mark.parametrize("body", [encode(MESSAGE), b"hello", b"", b"[1]", b'{"data_base64":"aGk="}'])
def test_what_has_no_failure_block_is_sent_as_it_is(body: bytes) -> None:
    assert revived(body) == body


@given(st.binary() | json_values.map(to_json) | text.map(lambda t: to_json({"failure": t, "data_base64": t})))
def test_anything_can_be_told_replayed_and_looked_into(body: bytes) -> None:
    assert Letter.of(stored(body)).size == len(body)
    assert isinstance(revived(body), bytes)
    assert isinstance(contents(body), bytes)


def test_all_of_a_message_is_told_but_its_payload() -> None:
    letter = Letter.of(stored(LETTER))
    assert (letter.kind, letter.tenant_id, letter.message_id) == (LetterKind.MESSAGE, "customer-a", "m-1")
    assert (letter.correlation_id, letter.causation_id) == ("c-1", "m-0")
    assert (letter.entity, letter.metadata, letter.failure) == (MESSAGE.entity, MESSAGE.metadata, FAILURE)
    assert b"gr\xc3\xb6\xc3\x9fe" not in to_json(letter)
    assert contents(LETTER) == '{"id":"größe","price":1.5}'.encode()


def test_of_unreadable_bytes_the_failure_and_what_the_transport_knows_is_told() -> None:
    letter = Letter.of(stored(RAW_LETTER))
    assert (letter.kind, letter.tenant_id, letter.failure) == (LetterKind.BYTES, "customer-b", FAILURE)
    assert letter.message_id is None
    assert contents(RAW_LETTER) == RAW


def test_a_message_that_the_platform_has_moved_there_is_foreign_and_told() -> None:
    letter = Letter.of(stored(encode(MESSAGE)))
    assert (letter.kind, letter.message_id, letter.failure) == (LetterKind.FOREIGN, "m-1", None)


def test_base64_that_is_none_is_looked_at_as_it_is() -> None:
    event = json.loads(RAW_LETTER) | {"data_base64": "no base64"}
    body = json.dumps(event).encode()
    assert contents(body) == body


@pytest.mark.parametrize(
    ("filter_", "takes"),
    [
        (LetterFilter(), True),
        (LetterFilter(queue=QueueName("orders")), True),
        (LetterFilter(queue=QueueName("order")), False),
        (LetterFilter(function=FunctionName("to-canonical")), True),
        (LetterFilter(function=FunctionName("other")), False),
        (LetterFilter(tenant_id=TenantId("customer-a")), True),
        (LetterFilter(tenant_id=TenantId("customer-b")), False),
        (LetterFilter(error="keyerror"), True),
        (LetterFilter(error="LIEFERADR"), True),
        (LetterFilter(error="KeyError: 'Lieferadresse'"), True),
        (LetterFilter(error="Timeout"), False),
        (LetterFilter(fingerprint="0123456789abcdef"), True),
        (LetterFilter(fingerprint="0123"), False),
        (LetterFilter(correlation_id="c-1"), True),
        (LetterFilter(correlation_id="c-2"), False),
        (LetterFilter(message_id=MessageId("m-1")), True),
        (LetterFilter(message_id=MessageId("m-2")), False),
        (LetterFilter(buried_before=NOW), False),
        (LetterFilter(buried_before=NOW + timedelta(seconds=1)), True),
        (LetterFilter(buried_after=NOW), True),
        (LetterFilter(buried_after=NOW + timedelta(seconds=1)), False),
        (LetterFilter(ids=(LetterId("7"), LetterId("8"))), True),
        (LetterFilter(ids=(LetterId("8"),)), False),
        (LetterFilter(error="KeyError", tenant_id=TenantId("customer-b")), False),
    ],
)
def test_a_filter_takes_what_is_all_that_it_says(filter_: LetterFilter, takes: bool) -> None:
    assert filter_.takes(Letter.of(stored(LETTER))) is takes
    assert filter_.is_everything is (filter_ == LetterFilter())


def test_what_has_no_failure_is_not_of_a_function_or_error() -> None:
    foreign = Letter.of(stored(b"hello"))
    assert LetterFilter(queue=QueueName("orders")).takes(foreign)
    for filter_ in (
        LetterFilter(error=""),
        LetterFilter(function=FunctionName("to-canonical")),
        LetterFilter(fingerprint="0"),
    ):
        assert not filter_.takes(foreign)


def test_bytes_in_base64_with_a_failure_are_never_taken_for_a_message() -> None:
    event = json.loads(LETTER) | {"data_base64": b64encode(b"raw").decode()}
    assert revived(json.dumps(event).encode()) == b"raw"


def test_of_a_letter_whose_content_is_kept_apart_all_is_told_but_that() -> None:
    parted, content = check_in(LETTER)
    assert replace(Letter.of(stored(parted)), size=0) == replace(Letter.of(stored(LETTER)), size=0)
    assert Letter.of(stored(parted)).size == len(parted) + len(content)


def test_a_claim_of_another_kind_is_told_as_what_cannot_be_read() -> None:
    event = json.loads(LETTER) | {"dataref": "https://files.example/7"}
    assert Letter.of(stored(json.dumps(event).encode())).kind is LetterKind.BYTES


@pytest.mark.parametrize("body", [LETTER, RAW_LETTER, check_in(LETTER)[0], encode(MESSAGE)])
def test_what_a_framework_wrote_can_be_replayed(body: bytes) -> None:
    check_replayable(stored(body))


@pytest.mark.parametrize("body", [b"", b"hello", b"[1]", b'{"order": 7}', b"\xff"])
def test_what_is_no_message_cannot_be_replayed_and_is_named(body: bytes) -> None:
    with pytest.raises(PermanentError, match="letter '7' of queue 'orders' cannot be replayed"):
        check_replayable(stored(body))
