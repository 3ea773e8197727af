"""The error tree. It answers one question: is it worth trying again?

    ExchangeError
    ├── TransientError             yes
    │   ├── RetryableError         yes, a processor says so (and perhaps when)
    │   ├── DeferError             yes, later, and no attempt is spent
    │   ├── LostRaceError          yes, at once: another writer was first
    │   ├── ClaimLostError         yes, but not by us: the message is somebody else's by now
    │   └── UnknownEnvelopeError   yes, later: written by a newer version of the framework
    └── PermanentError             no
        ├── InvalidMessageError    the bytes are no message
        ├── InvalidPayloadError    the payload is not what the processor declared
        ├── UnrepresentableError   the value has no JSON form that every reader agrees on
        ├── UnroutableError        no rule of a gateway takes the message
        ├── TenantError            no tenant, an unknown one, or a disabled one
        │   └── ErasedTenantError  an erased one: what comes for it is dropped, and not kept as a dead letter
        └── DeclarationError       the application is declared wrongly; found before anything runs

Messages name what was wrong, where, and how to mend it. They hold neither secrets nor payload values.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TypeGuard

LONGEST_WAIT = timedelta(days=365)
"""Longest wait that an error can ask for; far enough from the last date that there is."""


class ExchangeError(Exception):
    """Root of all errors of the framework."""


class TransientError(ExchangeError):
    """The same call may succeed later."""


class RetryableError(TransientError):
    """Raised by a processor whose step failed for now.

    Args:
        message: what failed; goes to the logs, so no secrets.
        retry_after: the wait that the other side asked for; wins over the function's own backoff.

    Raises:
        ValueError: *retry_after* is no timedelta from zero to `LONGEST_WAIT`.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = None if retry_after is None else wait(retry_after, "retry_after")


class DeferError(TransientError):
    """The step cannot run yet (a rate limit, a token that is being made). No attempt is spent.

    Args:
        message: what it waits for.
        delay: how long to stay away.

    Raises:
        ValueError: *delay* is no timedelta from zero to `LONGEST_WAIT`.
    """

    def __init__(self, message: str, *, delay: timedelta) -> None:
        super().__init__(message)
        self.delay = wait(delay, "delay")


class LostRaceError(TransientError):
    """Another writer changed what this one had read; nothing of this one was written."""


class ClaimLostError(TransientError):
    """The time to work on a message ran out and it was handed to somebody else, who will do it."""


class UnknownEnvelopeError(TransientError):
    """The message's envelope version is newer than this framework; it waits for a newer reader."""


class PermanentError(ExchangeError):
    """The same call fails for ever; a message that causes it is dead-lettered, never retried."""


class InvalidMessageError(PermanentError):
    """The bytes or fields do not make a message."""


class AbsentContentError(InvalidMessageError):
    """A message claims a content that could not be had for good."""


class InvalidPayloadError(PermanentError):
    """The payload does not fit the model that the processor declares."""


class UnrepresentableError(PermanentError):
    """A value has no JSON form that every reader agrees on (NaN, a lone surrogate, a set, nesting too deep)."""


class UnroutableError(PermanentError):
    """No rule of a gateway takes the message, and its default says that this is a failure."""


class TenantError(PermanentError):
    """There is no tenant, or it is unknown or disabled."""


class ErasedTenantError(TenantError):
    """The tenant was erased. What comes for it is dropped: a dead letter would keep its data."""


class DeclarationError(PermanentError):
    """An exchange, function, schedule, queue name or rule is declared wrongly."""


def wait(value: object, name: str) -> timedelta:
    """Check that *value*, which is called *name*, can be waited.

    Raises:
        ValueError: it is no timedelta from zero to `LONGEST_WAIT`.
    """
    if not is_wait(value):
        raise ValueError(f"{name} must be a timedelta from 0 to {LONGEST_WAIT.days} days, not {value!r}")
    return value


def is_wait(value: object) -> TypeGuard[timedelta]:
    """Whether *value* can be waited: a timedelta from zero to `LONGEST_WAIT`."""
    return isinstance(value, timedelta) and timedelta(0) <= value <= LONGEST_WAIT
