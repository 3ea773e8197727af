"""The books of what is done with dead letters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from api_exchange_core.domain.dead_letter_job import ItemState, Job, JobId, JobItem, JobOrder


class HeldJob(Protocol):
    """A job in the hands of the one who carries it out. Each call prolongs the hold by its lease.

    All of them raise, having changed nothing:

        ClaimLostError: the lease ran out and somebody else holds the job.
        TransientError: the store could not be reached; unlike the others, this may have changed something.
    """

    @abstractmethod
    def select(self, items: Sequence[JobItem], *, start: int, now: datetime) -> None:
        """Make *items* the selection from place *start* on; what was selected there and behind it is forgotten."""

    @abstractmethod
    def freeze(self, *, now: datetime) -> None:
        """Declare the selection complete."""

    @abstractmethod
    def begin(self, most: int, *, now: datetime) -> Mapping[int, JobItem]:
        """The first items that have come to no end, by their place in the selection, in its order.

        Each is told as it was, waiting or begun, and is begun from now on.
        """

    @abstractmethod
    def record(self, outcomes: Mapping[int, ItemState], *, now: datetime) -> None:
        """Note how items ended, by their place; nothing, to go on holding the job."""

    @abstractmethod
    def release(self, *, finished: bool, now: datetime) -> None:
        """Let go of the job; for good if it is finished. No call follows."""


class DeadLetterJobs(Protocol):
    """Every replay and discard: who ordered it, when, which letters it is about, and what became of each."""

    @abstractmethod
    def add(self, order: JobOrder, *, now: datetime) -> JobId:
        """A new job, with nothing selected and in nobody's hands. Later ones have larger numbers.

        Raises:
            TransientError: it may not have been written.
        """

    @abstractmethod
    def claim(self, job_id: JobId, *, holder: str, lease: timedelta, now: datetime) -> HeldJob | None:
        """Take the job into one's hands; None if somebody else has it, or it is finished, or not there.

        Args:
            job_id: which.
            holder: a name for this attempt that nobody else has.
            lease: the hold ends if nothing is heard for so long.
            now: the present time.

        Raises:
            TransientError: it is unknown whether it is held; a hold of which nothing is heard ends by itself.
        """

    @abstractmethod
    def get(self, job_id: JobId) -> Job | None:
        """The job as it is now; None if there is none of that number."""

    @abstractmethod
    def newest(self, most: int) -> Sequence[Job]:
        """The last *most* jobs, newest first."""

    @abstractmethod
    def items(self, job_id: JobId, *, start: int, most: int) -> Sequence[JobItem]:
        """Up to *most* items of the selection, in its order, from place *start* on."""
