"""Messages whose content is kept apart, and joined with it again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core import Message
from api_exchange_core.domain.claim_check import PayloadClaim, check_in, claim_in, redeem, tenant_in
from api_exchange_core.domain.envelope import decode, decode_failure, encode, encode_letter, encode_raw_letter
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.failure import Failure
from api_exchange_testing.strategies import messages

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FAILURE = Failure(
    function="to-canonical",
    queue="orders-fetched",
    code="PermanentError",
    reason="the order has no lines",
    fingerprint="f" * 32,
    attempts=1,
    failed_at=NOON,
)


@given(messages())
def test_parting_and_joining_a_message_gives_its_bytes(message: Message) -> None:
    body = encode(message)
    envelope, content = check_in(body)
    claim = claim_in(envelope)
    assert claim is not None
    assert claim.fits(content)
    assert tenant_in(envelope) == message.tenant_id
    assert redeem(envelope, content) == body


@given(messages())
def test_a_dead_letter_keeps_its_failure_in_sight_and_comes_back_whole(message: Message) -> None:
    letter = encode_letter(message, FAILURE)
    envelope, content = check_in(letter)
    assert decode_failure(envelope) == FAILURE
    assert redeem(envelope, content) == letter


@given(st.binary())
def test_bytes_that_were_no_message_are_kept_as_bytes(body: bytes) -> None:
    letter = encode_raw_letter(body, FAILURE, id_="letter-1", time=NOON)
    envelope, content = check_in(letter)
    assert content == body
    assert tenant_in(envelope) is None
    assert redeem(envelope, content) == letter


@given(messages(), st.binary())
def test_other_content_than_claimed_is_refused(message: Message, other: bytes) -> None:
    envelope, content = check_in(encode(message))
    if other != content:
        with pytest.raises(InvalidMessageError, match="not what the message claims"):
            redeem(envelope, other)


@given(messages())
def test_any_cloudevents_reader_finds_the_reference_and_ours_says_that_content_is_missing(
    message: Message,
) -> None:
    envelope, content = check_in(encode(message))
    event = JSONFormat().read(CloudEvent, envelope)
    assert event.get_extension("dataref") == f"urn:sha256:{PayloadClaim.to(content).digest}"
    with pytest.raises(InvalidMessageError, match="kept apart"):
        decode(envelope)


@pytest.mark.parametrize(
    ("body", "claim"),
    [
        (b'{"specversion":"1.0","data":{"dataref":"urn:sha256:0"}}', None),
        (b'not JSON, "dataref"', None),
        (b'["dataref"]', None),
    ],
)
def test_what_only_looks_like_a_claim_is_none(body: bytes, claim: None) -> None:
    assert claim_in(body) is claim


@pytest.mark.parametrize(
    "members",
    [
        '"dataref":"https://elsewhere.example/content","datarefsize":1',
        f'"dataref":"urn:sha256:{"0" * 64}"',
        f'"dataref":"urn:sha256:{"0" * 64}","datarefsize":"1"',
        f'"dataref":"urn:sha256:{"0" * 64}","datarefsize":-1',
        f'"dataref":"urn:sha256:{"0" * 64}","datarefsize":true',
        '"dataref":"urn:sha256:../../etc/passwd","datarefsize":1',
        '"dataref":7,"datarefsize":1',
    ],
)
def test_a_claim_of_another_kind_is_refused(members: str) -> None:
    with pytest.raises(InvalidMessageError):
        claim_in(f'{{"specversion":"1.0",{members}}}'.encode())


def test_what_has_no_content_cannot_be_parted_from_it() -> None:
    for body in (b'{"specversion":"1.0"}', b"[]", b"no JSON"):
        with pytest.raises(InvalidMessageError):
            check_in(body)
