"""Which requests have been taken in, so that one that comes again is known."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from api_exchange_core.domain.idempotency import RequestKey


class Standing(StrEnum):
    """How things are with a request that somebody wants to take in."""

    OURS = "ours"
    """It is to be taken in by whoever asked: nobody has, or whoever began has had its time."""
    UNDER_WAY = "under_way"
    """Somebody else is at it."""
    TAKEN_IN = "taken_in"
    """It has been: nothing is left to do but to answer as before."""
    OTHER = "other"
    """The key belongs to a request with another fingerprint."""


class RequestLog(Protocol):
    """Remembers requests by tenant, function and key, until the retention removes them.

    It tells repetitions apart from what is new, and is no lock: whoever has had its time may still be at work, and does
    the same as its successor, since what a request becomes follows from its key.
    """

    @abstractmethod
    def reserve(self, request: RequestKey, *, now: datetime, until: datetime) -> Standing:
        """Begin to take in *request*. Of many that ask at the same time one is told that it is `Standing.OURS`.

        Args:
            request: known by its tenant, function and key.
            now: the present.
            until: how long others are told that it is under way, unless `complete` comes first.

        Raises:
            TransientError: the log could not be reached; whether the request is reserved shows the next time.
        """

    @abstractmethod
    def complete(self, request: RequestKey) -> None:
        """Note that *request*, which is reserved, has been taken in. What is noted already stays as it is.

        Raises:
            TransientError: the log could not be reached.
        """
