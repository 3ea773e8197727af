"""The books of jobs on dead letters in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from typing_extensions import override

from api_exchange_core.domain.dead_letter_job import OPEN_STATES, ItemState, Job, JobId, JobItem, JobOrder
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.ports.dead_letter_jobs import DeadLetterJobs, HeldJob


@dataclass(slots=True)
class _Entry:
    job: Job
    holder: str | None = None
    items: list[JobItem] = field(default_factory=list)


class InMemoryDeadLetterJobs(DeadLetterJobs):
    """Jobs in a list."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()

    @override
    def add(self, order: JobOrder, *, now: datetime) -> JobId:
        with self._lock:
            job_id = JobId(len(self._entries) + 1)
            self._entries.append(_Entry(Job(id=job_id, order=order, ordered_at=now, counts={})))
            return job_id

    @override
    def claim(self, job_id: JobId, *, holder: str, lease: timedelta, now: datetime) -> HeldJob | None:
        with self._lock:
            entry = self._entry(job_id)
            if entry is None or entry.job.finished_at is not None:
                return None
            if entry.job.held_until is not None and entry.job.held_until > now:
                return None
            entry.holder = holder
            entry.job = replace(entry.job, held_until=now + lease)
        return _InMemoryHeldJob(entry, holder, lease, self._lock)

    @override
    def get(self, job_id: JobId) -> Job | None:
        with self._lock:
            entry = self._entry(job_id)
            return None if entry is None else _counted(entry)

    @override
    def newest(self, most: int) -> Sequence[Job]:
        with self._lock:
            return [_counted(entry) for entry in self._entries[::-1][:most]]

    @override
    def items(self, job_id: JobId, *, start: int, most: int) -> Sequence[JobItem]:
        with self._lock:
            entry = self._entry(job_id)
            return [] if entry is None else entry.items[start : start + most]

    def _entry(self, job_id: JobId) -> _Entry | None:
        return self._entries[job_id - 1] if 1 <= job_id <= len(self._entries) else None


@dataclass(frozen=True, slots=True)
class _InMemoryHeldJob(HeldJob):
    entry: _Entry
    holder: str
    lease: timedelta
    lock: threading.Lock

    @override
    def select(self, items: Sequence[JobItem], *, start: int, now: datetime) -> None:
        with self._held(now):
            self.entry.items[start:] = items

    @override
    def freeze(self, *, now: datetime) -> None:
        with self._held(now):
            self.entry.job = replace(self.entry.job, frozen=True)

    @override
    def begin(self, most: int, *, now: datetime) -> Mapping[int, JobItem]:
        with self._held(now):
            open_ = [(place, one) for place, one in enumerate(self.entry.items) if one.state in OPEN_STATES]
            for place, item in open_[:most]:
                self.entry.items[place] = replace(item, state=ItemState.BEGUN)
            return dict(open_[:most])

    @override
    def record(self, outcomes: Mapping[int, ItemState], *, now: datetime) -> None:
        with self._held(now):
            for place, state in outcomes.items():
                self.entry.items[place] = replace(self.entry.items[place], state=state, ended_at=now)

    @override
    def release(self, *, finished: bool, now: datetime) -> None:
        with self._held(now):
            finished_at = now if finished else None
            self.entry.holder = None
            self.entry.job = replace(self.entry.job, held_until=None, finished_at=finished_at)

    @contextmanager
    def _held(self, now: datetime) -> Iterator[None]:
        with self.lock:
            if self.entry.holder != self.holder:
                raise ClaimLostError(f"job {self.entry.job.id} is in somebody else's hands")
            self.entry.job = replace(self.entry.job, held_until=now + self.lease)
            yield


def _counted(entry: _Entry) -> Job:
    return replace(entry.job, counts=dict(Counter(item.state for item in entry.items)))
