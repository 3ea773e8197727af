from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from api_exchange_core import Message
from api_exchange_core.domain.envelope import decode, encode, encode_letter
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.domain.trace_context import TraceContext, trace_context

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MADE_IN = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61rcWkgMzE")

TRACEPARENTS = st.from_regex(
    r"00-[0-9a-f]{31}[1-9a-f]-[0-9a-f]{15}[1-9a-f]-[0-9a-f]{2}",
    fullmatch=True,
    alphabet=st.characters(codec="ascii"),
)


def message(trace: TraceContext | None = None) -> Message:
    return Message(
        id=MessageId("m-1"),
        tenant_id=TenantId("acme"),
        source="/shop",
        payload={"n": 1},
        time=NOW,
        correlation_id="c-1",
        trace=trace,
    )


def test_it_tells_trace_span_and_flags() -> None:
    assert MADE_IN.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert (MADE_IN.span_id, MADE_IN.flags) == ("b7ad6b7169203331", "01")


@given(TRACEPARENTS)
def test_what_the_specification_allows_is_taken_as_it_is(traceparent: str) -> None:
    context = trace_context(traceparent)
    assert context is not None
    assert f"00-{context.trace_id}-{context.span_id}-{context.flags}" == traceparent


BROKEN: list[Any] = [
    None,
    7,
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "",
    "00",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-" + "x" * 500,
]


@pytest.mark.parametrize("traceparent", BROKEN)
def test_a_broken_one_is_none(traceparent: object) -> None:
    assert trace_context(traceparent, "congo=t61rcWkgMzE") is None


def test_a_later_version_may_say_more() -> None:
    assert trace_context("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what") is not None


@pytest.mark.parametrize("tracestate", ["", "a=\n", "a=größe", "x" * 513, 7])
def test_a_broken_tracestate_is_left_out(tracestate: object) -> None:
    assert trace_context(MADE_IN.traceparent, tracestate) == TraceContext(MADE_IN.traceparent)


def test_an_invalid_one_cannot_be_made() -> None:
    with pytest.raises(InvalidMessageError, match="traceparent"):
        TraceContext("nonsense")
    with pytest.raises(InvalidMessageError, match="tracestate"):
        TraceContext(MADE_IN.traceparent, "\x00")


def test_it_travels_in_the_envelope_as_cloudevents_has_it() -> None:
    body = encode(message(MADE_IN))
    event = from_json(body)
    assert (event["traceparent"], event["tracestate"]) == (MADE_IN.traceparent, MADE_IN.tracestate)
    assert decode(body).trace == MADE_IN


def test_a_message_without_has_nothing_of_it_in_the_envelope() -> None:
    body = encode(message())
    assert b"trace" not in body
    assert decode(body).trace is None


def test_a_dead_letter_keeps_it() -> None:
    failure = Failure(
        function="f", queue="q", code="E", reason="", fingerprint="0" * 16, attempts=1, failed_at=NOW
    )
    assert decode(encode_letter(message(MADE_IN), failure)).trace == MADE_IN


@pytest.mark.parametrize("traceparent", [one for one in BROKEN if not isinstance(one, bytes)])
def test_a_message_with_a_broken_one_is_read_all_the_same(traceparent: object) -> None:
    event = from_json(encode(message())) | {"traceparent": traceparent, "tracestate": []}
    assert decode(to_json(event)) == message()
