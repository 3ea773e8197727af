"""What a token endpoint may answer, and what of it is relied on."""

from __future__ import annotations

import copy
import json
import math
import pickle
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import LONGEST_LIFE, UNSAID_LIFE, TokenAnswer, read_answer

HOUR = timedelta(hours=1)
TOKEN = "tok-1234567890"


def body(**fields: Any) -> bytes:
    return json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600, **fields}).encode()


def test_a_plain_answer_is_read() -> None:
    answer = read_answer(body(refresh_token="next-1", scope="orders"))
    assert answer == TokenAnswer(Secret(TOKEN), HOUR, Secret("next-1"))


@pytest.mark.parametrize("kind", ["bearer", "BEARER", None])
def test_the_type_is_compared_without_case_and_may_be_missing(kind: str | None) -> None:
    assert read_answer(body(token_type=kind)).expires_in == HOUR


@pytest.mark.parametrize("expires_in", [3600, 3600.0, "3600", " 3600 ", "3.6e3"])
def test_seconds_may_be_a_number_or_a_text(expires_in: object) -> None:
    assert read_answer(body(expires_in=expires_in)).expires_in == HOUR


def test_a_life_that_is_not_said_is_short() -> None:
    assert read_answer(body(expires_in=None)).expires_in == UNSAID_LIFE
    assert read_answer(b'{"access_token": "t"}', unsaid=HOUR).expires_in == HOUR


@pytest.mark.parametrize("expires_in", [10**11, 1e300, "1e400", 10**400, math.inf])
def test_a_huge_life_is_cut(expires_in: object) -> None:
    assert read_answer(body(expires_in=expires_in)).expires_in == LONGEST_LIFE


@pytest.mark.parametrize(
    "expires_in", [0, -1, "0", "-5", -(10**400), "soon", "", True, [], {}, math.nan, "nan"]
)
def test_a_life_that_is_none_is_refused(expires_in: object) -> None:
    with pytest.raises(TransientError, match="expires_in"):
        read_answer(body(expires_in=expires_in))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b'"None"',
        b"null",
        b"{}",
        body(access_token=None),
        body(access_token=""),
        body(access_token=7),
        body(access_token="two words"),
        body(access_token="line\r\nSet-Cookie: x"),
        body(access_token="schlüssel"),
        body(refresh_token=7),
        body(refresh_token="schlüssel"),
        body(token_type="mac"),
        body(token_type=5),
        b"[" * 100_000,
    ],
    ids=repr,
)
def test_what_holds_no_token_that_can_be_sent_is_refused(answer: bytes) -> None:
    with pytest.raises(TransientError, match="token answer"):
        read_answer(answer)


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.floats() | st.booleans(), st.lists)
    .map(json.dumps)
    .map(str.encode)
)
def test_whatever_comes_is_an_answer_or_a_transient_error(answer: bytes) -> None:
    with pytest.raises(TransientError):
        read_answer(answer)


@given(
    st.dictionaries(
        st.sampled_from(["access_token", "token_type", "expires_in", "refresh_token"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("Bearer"),
    )
)
def test_what_is_accepted_is_a_token_that_lives(fields: dict[str, Any]) -> None:
    with suppress(TransientError):
        answer = read_answer(json.dumps(fields).encode())
        assert timedelta(0) < answer.expires_in <= LONGEST_LIFE
        assert answer.token.reveal() == fields["access_token"]


@given(st.sampled_from(["access_token", "token_type", "expires_in", "refresh_token"]))
def test_an_error_repeats_nothing_of_the_answer(field: str) -> None:
    with pytest.raises(TransientError) as refused:
        read_answer(body(**{"access_token": "s3cr3t s3cr3t", field: "s3cr3t s3cr3t"}))
    assert "s3cr3t" not in str(refused.value)


@given(st.text(min_size=8, alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_a_secret_is_shown_nowhere(text: str) -> None:
    text = f"s3cr3t{text}"
    secret = Secret(text)
    shown = f"{secret} {secret!r} {secret:>80} {[secret]} {vars(Holder(secret))} %s" % secret
    assert text not in shown
    assert text not in repr(TokenAnswer(secret, HOUR, secret))
    assert secret.reveal() == text
    assert secret == Secret(text)
    assert secret != Secret(text + "x")
    assert secret != text
    assert hash(secret) == hash(Secret(text))


@pytest.mark.parametrize("hand_on", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied_out_of_the_process(hand_on: Any) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        hand_on(Secret("s3cr3t"))


def test_a_secret_cannot_be_empty() -> None:
    with pytest.raises(ValueError, match="empty"):
        Secret("")


class Holder:
    def __init__(self, secret: Secret) -> None:
        self.secret = secret


@pytest.mark.parametrize(("said", "kept"), [("", None), ("a refresh token", Secret("a refresh token"))])
def test_what_a_form_can_carry_as_a_refresh_token_costs_no_exchange(said: str, kept: Secret | None) -> None:
    assert read_answer(body(refresh_token=said)).refresh_token == kept
