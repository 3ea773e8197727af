"""The journal, as part of a unit of work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from api_exchange_core.domain.names import FunctionName, MessageId


class ProcessingState(StrEnum):
    """What became of a message in a function."""

    COMPLETED = "completed"
    RETRYING = "retrying"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """What became of one message in one function.

    Args:
        function: which.
        message_id: which.
        state: what became of it.
        attempts: how many it took.
        correlation_id: of the request that it is part of.
        causation_id: of the message that it is a child of.
        entity_id: of the entity that it is about.
        started_at: when the last attempt began.
        finished_at: when that was recorded.
        fingerprint: of its last failure.
        operation: name of the processor's step.
        waited: how long it had been in the queue when the last attempt began, if the platform tells.
        took: how long the processor ran.
    """

    function: FunctionName
    message_id: MessageId
    state: ProcessingState
    attempts: int
    correlation_id: str
    causation_id: str | None
    entity_id: str | None
    started_at: datetime
    finished_at: datetime
    fingerprint: str | None = None
    operation: str | None = None
    waited: timedelta | None = None
    took: timedelta | None = None


class Journal(Protocol):
    """What was processed, one row a message and function: the inbox, the state and the trace of one tenant."""

    @abstractmethod
    def completed(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        """Those of *message_ids* that *function* has completed before."""

    @abstractmethod
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        """Record completions; those of messages that were completed before have no effect.

        Returns:
            The messages that this unit of work completes. The rest are duplicates: another one was first.
        """

    @abstractmethod
    def fail(self, entries: Sequence[JournalEntry]) -> None:
        """Record attempts that failed. A message that is completed stays so."""

    @abstractmethod
    def trace(self, correlation_id: str) -> Sequence[JournalEntry]:
        """The entries of one request, oldest first."""
