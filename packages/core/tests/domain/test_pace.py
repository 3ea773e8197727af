"""Rates and ramps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core.domain.dead_letter import LetterFilter
from api_exchange_core.domain.dead_letter_job import JobAction, JobOrder
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.pace import Pace

rates = st.floats(min_value=0.001, max_value=10_000)
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=2))


@given(rates, spans, spans)
def test_a_ramp_only_rises_and_ends_at_the_rate(rate: float, ramp: timedelta, elapsed: timedelta) -> None:
    pace = Pace(rate, ramp)
    assert 0 < pace.at(elapsed) <= pace.at(elapsed + timedelta(seconds=1)) <= rate
    assert pace.at(ramp) == rate


@given(rates, spans, spans, st.integers(1, 100))
def test_a_batch_and_its_pause_keep_the_rate(
    rate: float, ramp: timedelta, elapsed: timedelta, most: int
) -> None:
    pace = Pace(rate, ramp)
    number = pace.batch(elapsed, most=most)
    assert 1 <= number <= most
    assert number == 1 or number <= pace.at(elapsed) * 0.1
    pause = pace.pause(number, elapsed)
    assert abs(pause.total_seconds() - number / pace.at(elapsed)) < 1e-5


def test_a_ramp_starts_with_one_a_second() -> None:
    pace = Pace(50.0, timedelta(seconds=60))
    assert [pace.at(timedelta(seconds=second)) for second in (0, 6, 30, 60, 90)] == [1, 5, 25, 50, 50]


def test_a_rate_below_one_a_second_needs_no_ramp() -> None:
    assert Pace(0.5, timedelta(seconds=60)).at(timedelta(0)) == 0.5


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(DeclarationError, match="more than 0"):
        Pace(rate)


def test_a_negative_ramp_is_refused() -> None:
    with pytest.raises(DeclarationError, match="negative"):
        Pace(1.0, timedelta(seconds=-1))


@pytest.mark.parametrize("by", ["", "two\nlines", "x" * 256])
def test_an_order_says_who_gives_it(by: str) -> None:
    with pytest.raises(DeclarationError, match="who orders"):
        JobOrder(action=JobAction.REPLAY, filter=LetterFilter(), by=by)


def test_an_order_is_for_one_letter_at_least() -> None:
    with pytest.raises(DeclarationError, match="one letter"):
        JobOrder(action=JobAction.REPLAY, filter=LetterFilter(), by="anna", most=0)
