"""Failures as values, whatever was raised."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from api_exchange_core import DeferError, ProcessingResult, RetryableError
from api_exchange_core.domain.failure import Problem

WAITS: list[Any] = [5, timedelta(seconds=-1), timedelta.max]


class SpeechlessError(Exception):
    @override
    def __str__(self) -> str:
        raise RuntimeError("no text")


class BusyError(RetryableError):
    def __init__(self) -> None:
        """Forgets what the class above it keeps."""


class LimitedError(DeferError):
    def __init__(self) -> None:
        """Forgets what the class above it keeps."""


def test_an_error_without_a_text_is_a_problem_like_any_other() -> None:
    problem = Problem.of(SpeechlessError(), function="step")
    assert (problem.code, problem.permanent) == ("SpeechlessError", False)


@pytest.mark.parametrize("error", [BusyError(), LimitedError()])
def test_an_error_that_forgot_its_wait_is_tried_again_after_the_functions_own(error: Exception) -> None:
    problem = Problem.of(error, function="step")
    assert (problem.permanent, problem.retry_after, problem.defer) == (False, None, None)


@pytest.mark.parametrize("asked", WAITS)
def test_what_cannot_be_waited_is_refused_where_it_is_asked_for(asked: Any) -> None:
    with pytest.raises(ValueError, match="timedelta from 0 to 365 days"):
        RetryableError("busy", retry_after=asked)
    with pytest.raises(ValueError, match="timedelta from 0 to 365 days"):
        DeferError("limited", delay=asked)
    with pytest.raises(ValueError, match="timedelta from 0 to 365 days"):
        ProcessingResult.create_failure("busy", retry_after=asked)


@pytest.mark.parametrize("asked", WAITS)
def test_what_cannot_be_waited_is_never_a_problems_wait(asked: Any) -> None:
    error = RetryableError("busy")
    error.retry_after = asked
    assert Problem.of(error, function="step").retry_after is None
    result = ProcessingResult.create_failure("busy")
    result.retry_after = asked
    with pytest.raises(ValueError, match="retry_after"):
        Problem.of_result(result, function="step")


def test_a_code_that_holds_a_secret_is_kept_without_it() -> None:
    result = ProcessingResult.create_failure("refused", code="refused, token=hunter2Zq81secret")
    assert "hunter2" not in Problem.of_result(result, function="step").code
