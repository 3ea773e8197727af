"""Failures as values: what went wrong, and what the decision table makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

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
from api_exchange_core.domain.payload_model import invalid_payload
from api_exchange_core.domain.redaction import redacted
from api_exchange_core.domain.result import ProcessingResult
from api_exchange_core.domain.retry import RetryPolicy

MAX_REASON = 2_000
"""Longest reason kept, in characters."""

MAX_CODE = 100
MAX_HISTORY = 10
"""So many attempts, the last ones, are told in a dead letter."""

LEASE_RAN_OUT: Final = "LeaseRanOut"
"""Code of a message that began to run, came to no end, and is not to run again unless a person wants it to."""

SHORTEST_DEFER = timedelta(seconds=1)
"""No message stays away for less when its processor defers it, or it would go round without a pause."""

_MAX_PAST_REASON = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a message was not completed, and whether trying again makes sense.

    Args:
        code: a short stable name: the error's class, or what the processor chose.
        reason: one text for people, without what looks like a secret.
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

    @property
    def passes(self) -> bool:
        """Whether the same call may work in a moment."""
        return not self.permanent and self.defer is None

    @classmethod
    def of(cls, error: BaseException, *, function: str, operation: str | None = None) -> Problem:
        """What *error* says, raised in *operation* of *function*."""
        return cls(
            code=_shortened(type(error).__name__, MAX_CODE),
            reason=_told(_text(error)),
            fingerprint=fingerprint_of(error, function=function, operation=operation),
            permanent=isinstance(error, PermanentError),
            retry_after=_wait_of(error, "retry_after") if isinstance(error, RetryableError) else None,
            defer=_wait_of(error, "delay") if isinstance(error, DeferError) else None,
        )

    @classmethod
    def named(cls, code: str, reason: str, *, function: str, permanent: bool = False) -> Problem:
        """A problem that the framework found itself."""
        fingerprint = fingerprint_of_result(code=code, reason=reason, function=function, operation=None)
        return cls(code=code, reason=reason, fingerprint=fingerprint, permanent=permanent)

    @classmethod
    def of_result(cls, result: ProcessingResult, *, function: str, operation: str | None = None) -> Problem:
        """What a result of *operation* says that is no success.

        Raises:
            ValueError: its `retry_after` cannot be waited.
        """
        code = result.code if result.code is not None else "ProcessingFailed"
        return cls(
            code=_shortened(redacted(code[: 4 * MAX_CODE]), MAX_CODE),
            reason=_told(result.error if result.error is not None else ""),
            fingerprint=fingerprint_of_result(
                code=result.code, reason=result.error, function=function, operation=operation
            ),
            permanent=not result.can_retry,
            retry_after=None if result.retry_after is None else wait(result.retry_after, "retry_after"),
        )


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One attempt that failed, as the dead letter tells it."""

    attempt: int
    code: str
    reason: str = field(repr=False)
    fingerprint: str
    at: datetime

    @classmethod
    def of(cls, problem: Problem, *, attempt: int, at: datetime) -> PastAttempt:
        """What *problem* was, in short."""
        reason = _shortened(problem.reason, _MAX_PAST_REASON)
        return cls(attempt, problem.code, reason, problem.fingerprint, at)


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure block of a dead letter.

    Args:
        function: which gave it up.
        queue: where the message was.
        code, reason, fingerprint: of the last problem.
        attempts: how many there were.
        failed_at: when it was given up.
        history: the last attempts that failed, oldest first, `MAX_HISTORY` at most; empty if none was recorded.
    """

    function: str
    queue: str
    code: str
    reason: str = field(repr=False)
    fingerprint: str
    attempts: int
    failed_at: datetime
    history: tuple[PastAttempt, ...] = ()


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
        return Defer(problem.defer if problem.defer >= SHORTEST_DEFER else SHORTEST_DEFER * (1 + random()))
    if problem.permanent or policy.exhausted(attempt):
        return Condemn()
    if problem.retry_after is not None:
        return Retry(problem.retry_after)
    return Retry(policy.delay(attempt, random=random))


def _text(error: BaseException) -> str:
    try:
        if isinstance(error, ValidationError):  # its own text quotes the values
            return str(invalid_payload(error, where=error.title))
        return str(error)
    except Exception:  # noqa: BLE001 - anybody's __str__; the message it belongs to must be settled all the same
        return "(its text cannot be made)"


def _wait_of(error: TransientError, name: str) -> timedelta | None:
    """The wait that *error* asks for; None if a subclass has not set it, or to what cannot be waited."""
    asked = getattr(error, name, None)
    return asked if is_wait(asked) else None


def _told(text: str) -> str:
    # Cut generously first: the text may be of any length, and a secret that is cut in half is not known as one.
    return _shortened(redacted(text[: 4 * MAX_REASON]))


def _shortened(text: str, longest: int = MAX_REASON) -> str:
    printable = "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[:longest]
    )
    return printable if len(text) <= longest else printable[: longest - 1] + "…"
