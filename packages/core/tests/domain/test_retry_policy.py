from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.retry import RetryPolicy


@st.composite
def policies(draw: st.DrawFn) -> RetryPolicy:
    base = draw(st.timedeltas(timedelta.resolution, timedelta(days=2)))
    return RetryPolicy(
        max_attempts=draw(st.integers(1, 50)),
        base_delay=base,
        max_delay=draw(st.timedeltas(base, timedelta.max)),
        multiplier=draw(st.floats(1, 1e9) | st.integers(1, 10)),
    )


FRACTIONS = st.floats(0, 1)


@given(policies(), st.integers(1, 10_000), FRACTIONS)
def test_a_wait_lies_between_zero_and_the_maximum(policy: RetryPolicy, attempt: int, fraction: float) -> None:
    assert timedelta(0) <= policy.delay(attempt, random=lambda: fraction) <= policy.max_delay


@given(policies(), st.integers(1, 10_000), FRACTIONS)
def test_the_longest_wait_never_shrinks_with_the_attempts(
    policy: RetryPolicy, attempt: int, fraction: float
) -> None:
    longest = policy.delay(attempt, random=lambda: 1.0)
    assert policy.delay(attempt, random=lambda: fraction) <= longest
    assert longest <= policy.delay(attempt + 1, random=lambda: 1.0)


def test_the_longest_wait_doubles_up_to_the_maximum() -> None:
    policy = RetryPolicy(base_delay=timedelta(seconds=2), max_delay=timedelta(seconds=20))
    longest = [policy.delay(attempt, random=lambda: 1.0).total_seconds() for attempt in range(1, 7)]
    assert longest == [2, 4, 8, 16, 20, 20]


def test_waits_are_spread_over_the_whole_range_down_to_zero() -> None:
    policy, source = RetryPolicy(base_delay=timedelta(seconds=8)), random.Random(1)
    waits = [policy.delay(1, random=source.random).total_seconds() for _ in range(4_000)]
    quarters = [sum(low <= wait < low + 2 for wait in waits) for low in (0, 2, 4, 6)]
    assert all(900 < count < 1_100 for count in quarters)


@given(policies())
def test_attempts_are_exhausted_from_the_last_one_on(policy: RetryPolicy) -> None:
    spent = [policy.exhausted(attempt) for attempt in range(1, policy.max_attempts + 2)]
    assert spent == [False] * (policy.max_attempts - 1) + [True, True]


def test_a_policy_that_never_retries_has_one_attempt() -> None:
    assert RetryPolicy.never().max_attempts == 1
    assert RetryPolicy.never().exhausted(1)


def test_the_defaults_are_five_attempts_from_two_seconds_to_a_quarter_of_an_hour() -> None:
    policy = RetryPolicy()
    assert (policy.max_attempts, policy.multiplier) == (5, 2.0)
    assert (policy.base_delay, policy.max_delay) == (timedelta(seconds=2), timedelta(minutes=15))


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_are_counted_from_one(attempt: int) -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        RetryPolicy().delay(attempt, random=random.random)
    with pytest.raises(ValueError, match="counted from 1"):
        RetryPolicy().exhausted(attempt)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"max_attempts": 0}, "max_attempts counts the first run too"),
        ({"max_attempts": 2.5}, "not 2.5"),
        ({"max_attempts": True}, "not True"),
        ({"base_delay": timedelta(0)}, "base_delay must be a timedelta longer than zero"),
        ({"base_delay": 2}, "base_delay must be a timedelta"),
        ({"max_delay": timedelta(seconds=1)}, "no shorter than base_delay"),
        ({"max_delay": 900}, "not 900"),
        ({"multiplier": 0.5}, "multiplier must be a finite number from 1 on, not 0.5"),
        ({"multiplier": float("nan")}, "not nan"),
        ({"multiplier": float("inf")}, "not inf"),
        ({"multiplier": "2"}, "not '2'"),
    ],
)
def test_a_policy_that_makes_no_sense_cannot_be_made(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        RetryPolicy(**arguments)
    assert told in str(caught.value)
