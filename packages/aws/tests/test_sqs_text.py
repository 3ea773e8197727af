"""Bytes survive what SQS does not take."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from api_exchange_aws.sqs.text import body_of, text_of

# SendMessage, MessageBody: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF
ALLOWED = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text("\ue000\ufffe\x00f0e1d").map(str.encode)))
def test_any_bytes_come_back_as_they_were(body: bytes) -> None:
    text = text_of(body)
    assert ALLOWED.fullmatch(text)
    assert body_of(text) == body


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ue000")))
def test_what_sqs_takes_is_sent_as_it_is(text: str) -> None:
    if ALLOWED.fullmatch(text):
        assert text_of(text.encode()) == text


@given(st.text("\ue000\ud7ff0123456789abcdef"))
def test_a_text_of_somebody_else_can_always_be_read(text: str) -> None:
    assert isinstance(body_of(text), bytes)
