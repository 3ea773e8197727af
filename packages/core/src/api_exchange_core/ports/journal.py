"""The journal, as part of a unit of work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId


class ProcessingState(StrEnum):
    """What became of a message in a function."""

    COMPLETED = "completed"
    RETRYING = "retrying"
    DEAD = "dead"
    RUNNING = "running"
    """Claimed by an exclusive function."""
    HELD = "held"
    """A claim ran out, and an operator is to say what becomes of the message."""
    GIVEN_UP = "given_up"
    """A claim ran out, and the message is dead-lettered whenever it is delivered, until an operator releases it."""


UNDECIDED: Final = frozenset({ProcessingState.RUNNING, ProcessingState.HELD, ProcessingState.GIVEN_UP})
"""While a message is in one of these its entry is all that keeps it from being run again, however long that takes."""


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
        fence: number of the claim that this was written under; 0 without one. It only grows.
        leased_until: when the claim of a running message runs out.
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
    fence: int = 0
    leased_until: datetime | None = None
    operation: str | None = None
    waited: timedelta | None = None
    took: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a message and to say how that ended, until somebody else has it."""

    function: FunctionName
    message_id: MessageId
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a message stands after an attempt to claim it.

    Args:
        taken: it is ours, under `fence`.
        state: where it stands.
        fence: of the newest claim.
        leased_until: when that runs out; None if nobody runs it.
    """

    taken: bool
    state: ProcessingState
    fence: int
    leased_until: datetime | None


class Journal(Protocol):
    """What was processed, one row a message and function: the inbox, the state and the trace of one tenant.

    Entries with a fence are written under a claim, and only as long as the claim is the newest and stands.
    """

    @abstractmethod
    def completed(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        """Those of *message_ids* that *function* has completed before."""

    @abstractmethod
    def claim(self, entries: Sequence[JournalEntry], *, on_lost: OnLost) -> Mapping[MessageId, Standing]:
        """Try to become the only one who runs these messages, each up to the entry's `leased_until`.

        Free are messages that nobody has heard of, that wait for a retry, or that are dead and come once more. A
        claim whose lease ran out by the entry's `started_at` is taken over (RERUN), its message held (HOLD), or
        given up (DEAD_LETTER). Each claim that is taken has a higher fence than the one before it.

        Args:
            entries: running ones of one function, no message twice, with the end of their lease.
            on_lost: the function's policy.

        Returns:
            How each message stands; of many that claim a message at once, one has taken it.
        """

    @abstractmethod
    def renew(self, claims: Sequence[Claim], *, until: datetime) -> frozenset[MessageId]:
        """Make the leases of *claims* of one function run out at *until* instead.

        Returns:
            The messages whose claim is lost; nothing of theirs is changed.
        """

    @abstractmethod
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        """Record completions; those of messages that were completed before have no effect.

        Returns:
            The messages that this unit of work completes. The rest are duplicates: another one was first.

        Raises:
            ClaimLostError: an entry has a fence, and the claim is not the newest any more or was declared lost; this
                unit of work cannot commit.
        """

    @abstractmethod
    def fail(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        """Record attempts that failed, which ends their claims. A message that is completed stays so.

        Returns:
            The messages whose failure was recorded. The rest are completed, or claimed by somebody else.
        """

    @abstractmethod
    def held(self, *, limit: int) -> Sequence[JournalEntry]:
        """The messages that wait for an operator, longest first. Reads the tenant's journal: not for hot paths."""

    @abstractmethod
    def release(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        """Let messages that are held or given up run again at their next delivery.

        Returns:
            Those that were; nothing is changed for the others.
        """

    @abstractmethod
    def give_up(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        """Have held messages dead-lettered at their next delivery, and not run unless they are released.

        Returns:
            Those that were held; nothing is changed for the others.
        """

    @abstractmethod
    def trace(self, correlation_id: str) -> Sequence[JournalEntry]:
        """The entries of one request, oldest first."""
