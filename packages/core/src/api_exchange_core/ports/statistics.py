"""What functions have done lately, in numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from api_exchange_core.domain.names import FunctionName, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Lengths of time that a half, 95 and 99 of a hundred did not exceed (nearest rank)."""

    p50: timedelta
    p95: timedelta
    p99: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount:
    """Failed attempts with one fingerprint."""

    fingerprint: str
    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionStatistics:
    """What one function did in a window of time.

    Messages are counted once, by the state that they are in now, if that was recorded within the window; attempts are
    counted each.

    Args:
        function: which.
        completed: messages that were completed.
        dead: messages that were dead-lettered.
        retrying: messages whose last attempt failed and that are to be tried again.
        failed_attempts: attempts that failed, whatever became of the message; deferrals are none.
        deferred: times that a message was put off without an attempt being spent.
        took: how long the processor ran, of completed messages.
        waited: how long messages were in their queue before their first attempt.
        failures: the failed attempts by fingerprint, the most frequent first.
    """

    function: FunctionName
    completed: int = 0
    dead: int = 0
    retrying: int = 0
    failed_attempts: int = 0
    deferred: int = 0
    took: Percentiles | None = None
    waited: Percentiles | None = None
    failures: Sequence[FailureCount] = ()

    @property
    def ended(self) -> int:
        """Messages that came to their end, one way or the other."""
        return self.completed + self.dead

    @property
    def success_rate(self) -> float | None:
        """Of the messages that came to their end, the share that was completed; None if none has."""
        return None if self.ended == 0 else self.completed / self.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What functions did in a window of time.

    Args:
        since: when the window begins. Later than it was asked for if there was more than is read at once; all numbers
            are of this window.
        until: when it ends.
        functions: those that did anything, by name.
    """

    since: datetime
    until: datetime
    functions: Sequence[FunctionStatistics]

    def per_second(self, messages: int) -> float:
        """How many a second *messages* of this window are."""
        seconds = (self.until - self.since).total_seconds()
        return messages / seconds if seconds > 0 else 0.0


class StatisticsSource(Protocol):
    """Counts what the journal and the error log tell."""

    @abstractmethod
    def of_window(
        self, *, since: datetime, until: datetime, tenant_id: TenantId | None = None, most: int
    ) -> Statistics:
        """The statistics from *since* to *until*.

        Args:
            since: when the window begins, included.
            until: when it ends: now. What was recorded later, by another machine's clock, counts as well.
            tenant_id: whose; None for all tenants together.
            most: rows that are read; if there are more, the window is cut to the newest.
        """
