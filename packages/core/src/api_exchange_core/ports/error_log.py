"""Errors, as part of a unit of work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEntry:
    """One failed attempt. The stack names files and lines, and holds no values.

    Args:
        function: which failed.
        message_id: on what.
        correlation_id: of the request.
        attempt: which, counting from 1.
        problem: why.
        stack: the innermost frames.
        occurred_at: when.
        operation: name of the processor's step.
        queue: where the message came from, and has gone back to or died beside.
    """

    function: FunctionName
    message_id: MessageId
    correlation_id: str
    attempt: int
    problem: Problem
    stack: str
    occurred_at: datetime
    operation: str | None = None
    queue: QueueName | None = None


class ErrorLog(Protocol):
    """The failed attempts of one tenant."""

    @abstractmethod
    def add(self, entries: Sequence[ErrorEntry]) -> None:
        """Record *entries*, and count them in the groups of their fingerprints (see `ErrorGroups`).

        Deferrals are recorded and not counted: nothing has failed. Of a group that is resolved, an attempt that
        fails later makes it regressed. However many write at once, no count is lost.
        """

    @abstractmethod
    def of_message(
        self, message_id: MessageId, *, function: FunctionName | None = None, newest: int | None = None
    ) -> Sequence[ErrorEntry]:
        """The failed attempts at a message, oldest first.

        Args:
            message_id: which.
            function: those of this one only.
            newest: so many of them at most, the last ones; None is all.
        """
