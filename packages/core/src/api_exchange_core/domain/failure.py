"""Failures as values: what went wrong, and what the decision table makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api_exchange_core.domain.delivery import Defer, Retry
from api_exchange_core.domain.errors import (
    DeferError,
    PermanentError,
    RetryableError,
    TransientError,
    is_wait,
    wait,
)
from api_exchange_core.domain.fingerprint import fingerprint_of, fingerprint_of_result
from api_exchange_core.domain.result import ProcessingResult
from api_exchange_core.domain.retry import RetryPolicy

MAX_REASON = 2_000
"""Longest reason kept, in characters."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a message was not completed, and whether trying again makes sense.

    Args:
        code: a short stable name: the error's class, or what the processor chose.
        reason: one text for people.
        fingerprint: the same for errors of the same kind from the same place; groups them.
        permanent: trying again is pointless.
        retry_after: the wait that the error asked for.
        defer: stay away so long, without an attempt being spent.
    """

    code: str
    reason: str = field(repr=False)
    fingerprint: str
    permanent: bool = False
    retry_after: timedelta | None = None
    defer: timedelta | None = None

    @classmethod
    def of(cls, error: BaseException, *, function: str, operation: str | None = None) -> Problem:
        """What *error* says, raised in *operation* of *function*."""
        return cls(
            code=type(error).__name__,
            reason=_shortened(_text(error)),
            fingerprint=fingerprint_of(error, function=function, operation=operation),
            permanent=isinstance(error, PermanentError),
            retry_after=_wait_of(error, "retry_after") if isinstance(error, RetryableError) else None,
            defer=_wait_of(error, "delay") if isinstance(error, DeferError) else None,
        )

    @classmethod
    def of_result(cls, result: ProcessingResult, *, function: str, operation: str | None = None) -> Problem:
        """What a result of *operation* says that is no success.

        Raises:
            ValueError: its `retry_after` cannot be waited.
        """
        code = result.code if result.code is not None else "ProcessingFailed"
        return cls(
            code=_shortened(code)[:100],
            reason=_shortened(result.error if result.error is not None else ""),
            fingerprint=fingerprint_of_result(
                code=result.code, reason=result.error, function=function, operation=operation
            ),
            permanent=not result.can_retry,
            retry_after=None if result.retry_after is None else wait(result.retry_after, "retry_after"),
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure block of a dead letter."""

    function: str
    queue: str
    code: str
    reason: str = field(repr=False)
    fingerprint: str
    attempts: int
    failed_at: datetime


@dataclass(frozen=True, slots=True)
class Condemn:
    """Dead-letter it."""


def decide(
    problem: Problem, *, policy: RetryPolicy, attempt: int, random: Callable[[], float]
) -> Retry | Defer | Condemn:
    """The decision table for a message that was not completed.

    Args:
        problem: why.
        policy: the function's own.
        attempt: the one that failed, counting from 1.
        random: gives numbers in [0, 1), for the jitter.
    """
    if problem.defer is not None:
        return Defer(problem.defer)
    if problem.permanent or policy.exhausted(attempt):
        return Condemn()
    if problem.retry_after is not None:
        return Retry(problem.retry_after)
    return Retry(policy.delay(attempt, random=random))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - anybody's __str__; the message it belongs to must be settled all the same
        return "(its text cannot be made)"


def _wait_of(error: TransientError, name: str) -> timedelta | None:
    """The wait that *error* asks for; None if a subclass has not set it, or to what cannot be waited."""
    asked = getattr(error, name, None)
    return asked if is_wait(asked) else None


def _shortened(text: str) -> str:
    printable = "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[:MAX_REASON]
    )
    return printable if len(text) <= MAX_REASON else printable + "…"
