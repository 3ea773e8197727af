"""What a dead letter tells of the attempts before the last."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryableError,
    RetryPolicy,
)
from api_exchange_core.domain.envelope import FAILURE_ROOM, decode_failure, encode, encode_letter
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.failure import MAX_HISTORY, Failure, PastAttempt, Problem
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_testing import Harness

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MESSAGE = Message(
    id=MessageId("m-1"),
    tenant_id=TenantId("customer-a"),
    source="/shop/step",
    payload={"n": 1},
    time=NOW,
    correlation_id="m-1",
)


class Fails(ProcessorInterface):
    """In a different way at each attempt."""

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        errors: list[Exception] = [RetryableError(f"busy at {context.attempt}"), TimeoutError("late")]
        raise errors[context.attempt % 2]


def only_letter(attempts: int) -> Failure:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("step", "inbox", Fails, retry=RetryPolicy(max_attempts=attempts))
    harness = Harness(exchange)
    harness.send("inbox", {"n": 1})
    harness.run()
    [(_, failure)] = harness.dead_letters("inbox")
    return failure


def test_a_letter_tells_every_attempt_in_order() -> None:
    failure = only_letter(3)
    assert [(one.attempt, one.code, one.reason) for one in failure.history] == [
        (1, "TimeoutError", "late"),
        (2, "RetryableError", "busy at 2"),
        (3, "TimeoutError", "late"),
    ]
    first, second, third = failure.history
    assert first.fingerprint == third.fingerprint != second.fingerprint
    assert first.at < second.at < third.at == failure.failed_at


def test_of_many_attempts_the_last_are_told() -> None:
    failure = only_letter(14)
    assert [one.attempt for one in failure.history] == list(range(14 - MAX_HISTORY + 1, 15))


def failure_of(problem: Problem) -> Failure:
    return Failure(
        function="f" * 59,
        queue="q" * 59,
        code=problem.code,
        reason=problem.reason,
        fingerprint=problem.fingerprint,
        attempts=2**31 - 1,
        failed_at=NOW,
        history=tuple(
            PastAttempt.of(problem, attempt=2**31 - 1, at=NOW + timedelta(microseconds=1))
            for _ in range(MAX_HISTORY)
        ),
    )


@given(st.text(st.sampled_from('"\\\n\N{ROCKET}\x00\u2028é')), st.text(min_size=1))
def test_however_an_error_is_called_and_whatever_it_says_the_letter_fits(reason: str, name: str) -> None:
    error = type("E" * 3_000, (Exception,), {})(reason * 3_000 + name)
    result = ProcessingResult.create_failure(reason * 3_000, code=name * 3_000)
    for problem in (Problem.of(error, function="step"), Problem.of_result(result, function="step")):
        failure = failure_of(problem)
        letter = encode_letter(MESSAGE, failure)
        assert len(letter) - len(encode(MESSAGE)) <= FAILURE_ROOM
        assert decode_failure(letter) == failure


def test_a_letter_that_was_written_without_a_history_is_read_as_ever() -> None:
    failure = replace(failure_of(Problem.of(ValueError("no"), function="step")), history=())
    assert decode_failure(without_history(failure)) == failure


@pytest.mark.parametrize("history", [7, [7], [{}], [{"at": "yesterday"}], "text"])
def test_a_history_that_is_none_is_refused(history: Any) -> None:
    failure = failure_of(Problem.of(ValueError("no"), function="step"))
    document = json.loads(encode_letter(MESSAGE, failure))
    block = json.loads(document["failure"]) | {"history": history}
    document["failure"] = json.dumps(block)
    with pytest.raises(InvalidMessageError, match="malformed failure block"):
        decode_failure(json.dumps(document).encode())


def without_history(failure: Failure) -> bytes:
    document = json.loads(encode_letter(MESSAGE, failure))
    block = json.loads(document["failure"])
    del block["history"]
    document["failure"] = json.dumps(block)
    return json.dumps(document).encode()
