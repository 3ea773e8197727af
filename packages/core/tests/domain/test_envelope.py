"""Messages as CloudEvents."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.envelope import (
    MAX_MESSAGE_BYTES,
    decode,
    decode_failure,
    decode_payload,
    encode,
    encode_letter,
    encode_raw_letter,
)
from api_exchange_core.domain.errors import InvalidMessageError, UnknownEnvelopeError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, TenantId

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
FAILURE = Failure("to-canonical", "orders-fetched", "KeyError", "'id'", "0123456789abcdef", 5, NOW)


def message(**changes: Any) -> Message:
    entity = EntityReference("e-1", "größe-1", "customer_order", "external_api", 3, "customer-a")
    whole = Message(
        id=MessageId("m-1"),
        tenant_id=TenantId("customer-a"),
        source="/orders/fetch-orders",
        payload={"id": "1", "lines": [{"sku": "Ä-1", "price": 1.5}], "note": None},
        time=NOW,
        correlation_id="c-1",
        causation_id="m-0",
        entity=entity,
        attempt=2,
        metadata={"channel": "web"},
    )
    return replace(whole, **changes)


def event(**changes: Any) -> bytes:
    document = json.loads(encode(message()))
    document.update(changes)
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


def test_a_message_comes_back_as_it_was() -> None:
    assert decode(encode(message())) == message()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_every_payload_comes_back_as_it_was(payload: Any) -> None:
    assert decode(encode(message(payload=payload))).payload == payload


@given(json_values)
def test_the_payload_is_read_alone_as_it_is_with_the_rest(payload: Any) -> None:
    body = encode(message(payload=payload))
    assert decode_payload(body) == decode(body).payload


@pytest.mark.parametrize(
    "payload", ["Infinity", {"-Infinity": "a5b3e999"}, 1.7976931348623157e308, "9" * 400]
)
def test_what_only_looks_like_a_number_that_is_too_large_is_read(payload: Any) -> None:
    assert decode(encode(message(payload=payload))).payload == payload


def test_a_cloudevents_reader_reads_it() -> None:
    read = JSONFormat().read(CloudEvent, encode(message()))
    assert read.get_id() == "m-1"
    assert read.get_source() == "/orders/fetch-orders"
    assert read.get_time() == NOW
    assert read.get_data() == message().payload
    assert read.get_extension("tenantid") == "customer-a"
    assert read.get_extension("entityversion") == 3


def test_attribute_names_are_ones_that_cloudevents_allows() -> None:
    names = set(json.loads(encode_letter(message(), FAILURE))) - {"data_base64"}
    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in names)


def test_a_dead_letter_is_the_whole_message_with_its_failure() -> None:
    letter = encode_letter(message(), FAILURE)
    assert decode(letter) == message()
    assert decode_failure(letter) == FAILURE


def test_unreadable_bytes_are_kept_in_their_dead_letter_as_they_were() -> None:
    raw = bytes(range(256))
    letter = encode_raw_letter(raw, FAILURE, id_="x-1", time=NOW)
    read = JSONFormat().read(CloudEvent, letter)
    assert read.get_data() == raw
    assert base64.b64decode(json.loads(letter)["data_base64"]) == raw
    assert decode_failure(letter) == FAILURE


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "no object"),
        (b'{"specversion": "1.0", "data": NaN}', "not JSON"),
        (b'{"specversion": "1.0", "data": "\\ud800"}', "not JSON"),
        (b"[" * 200 + b"]" * 200, "no object|not JSON"),
        (b'{"specversion": "1.0", "data": ' + b"[" * 150 + b"]" * 150 + b"}", "deep|nest"),
        (b"[" * 100_000, "not JSON"),
        (b'{"specversion": "1.0", "data": 1e999}', "unreadable"),
        (event(specversion="0.3"), "specversion"),
        (event(envelopeversion=...), "envelopeversion"),
        (event(envelopeversion="1"), "envelopeversion"),
        (event(tenantid=...), "tenantid"),
        (event(tenantid="../x"), "tenant"),
        (event(id=7), "`id`"),
        (event(id="x" * 300), "id"),
        (event(time="yesterday"), "isoformat"),
        (event(time="2026-11-23T12:30:00"), "offset"),
        (event(attempt=0), "attempt"),
        (event(attempt="1"), "attempt"),
        (event(attempt=2**31), "attempt"),
        (event(entityversion="3"), "version"),
        (event(entityversion=2**31), "version"),
        (event(entityid="e\0"), "NUL"),
        (event(entityexternalid=""), "external_id"),
        (event(entitytype="x" * 256), "canonical_type"),
        (event(time="0001-01-01T00:00:00+14:00"), "range"),
        (event(time="9999-12-31T23:59:59-14:00"), "range"),
        (event(data=..., data_base64="e30="), "data_base64"),
        (event(data=[]).replace(b"[]", b"1" * 299 + b"e99"), "infinity"),
        (event(data=[]).replace(b"[]", b"1" * 215 + b"e99"), "infinity"),
        (event(metadata="[]"), "metadata"),
        (event(metadata='{"a": 1}'), "metadata"),
        (event(metadata=5), "incomplete"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(body: bytes, says: str) -> None:
    with pytest.raises(InvalidMessageError, match=says):
        decode(body)


@given(st.binary())
def test_no_bytes_make_anything_but_a_message_or_our_error(body: bytes) -> None:
    with pytest.raises(InvalidMessageError):
        decode(body)


@given(st.sampled_from(sorted(json.loads(encode(message())))), json_values)
def test_whatever_an_attribute_holds_is_a_message_that_can_be_written_again_or_our_error(
    name: str, value: Any
) -> None:
    try:
        read = decode(event(**{name: value}))
    except (InvalidMessageError, UnknownEnvelopeError):
        return
    assert decode(encode_letter(read, FAILURE)) == read


def test_a_newer_envelope_waits_for_a_newer_reader() -> None:
    with pytest.raises(UnknownEnvelopeError, match="2"):
        decode(event(envelopeversion=2))


def test_a_message_over_the_limit_is_refused_when_it_is_made() -> None:
    with pytest.raises(InvalidMessageError, match="limit"):
        encode(message(payload="x" * 2_000_000))


def test_whatever_can_be_sent_can_be_dead_lettered() -> None:
    room = MAX_MESSAGE_BYTES - len(encode(message(payload="")))
    largest = message(payload="x" * room)
    assert len(encode(largest)) == MAX_MESSAGE_BYTES
    worst = replace(FAILURE, reason='"' * 2_000)
    assert len(encode_letter(largest, worst)) <= 1024 * 1024


def test_an_entity_of_another_tenant_is_refused() -> None:
    other = EntityReference("e-1", "1", "customer_order", "external_api", 1, "customer-b")
    with pytest.raises(InvalidMessageError, match="customer-b"):
        message(entity=other)


def test_payload_and_metadata_are_not_in_the_repr() -> None:
    assert "Ä-1" not in repr(message())
    assert "web" not in repr(message())
