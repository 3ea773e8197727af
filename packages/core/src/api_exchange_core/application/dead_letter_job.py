"""Carrying out a job on dead letters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from api_exchange_core.application.find_dead_letters import Advance, FindDeadLetters
from api_exchange_core.domain.dead_letter import LetterId
from api_exchange_core.domain.dead_letter_job import DONE, ItemState, Job, JobAction, JobId, JobItem, JobOrder
from api_exchange_core.domain.errors import ClaimLostError, PermanentError, TransientError
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.dead_letter_jobs import DeadLetterJobs, HeldJob
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

LEASE: Final = timedelta(seconds=30)
"""Who carries out a job and is not heard of for so long is taken for dead."""

BATCH: Final = 100
"""Most letters in hand at a time, and so the most of which it is not certain what became if the job is killed."""

TRIES: Final = 5
"""A batch that fails so often in a row, for reasons that pass, ends the run; the job can be gone on with."""

_AFTER_ERROR: Final = timedelta(seconds=2)

_LONGEST_SLEEP: Final = LEASE / 3


@dataclass(frozen=True, slots=True)
class CarryOutDeadLetterJob:
    """Replays or discards the letters of a frozen selection, at a pace, and keeps the books.

    A job goes through three steps, each of which can be interrupted and gone on with: it is written down, its letters
    are selected, and they are carried out. What is selected is fixed before the first letter moves; a selection
    that was interrupted is made anew, as of the moment of the order. One runner at a time holds a job, so that
    two do not go at twice its pace; the one that is taken for dead, and is not, moves no letter a second time and
    writes nothing into the books.
    """

    find: FindDeadLetters
    letters: DeadLetters
    jobs: DeadLetterJobs
    units: UnitOfWorkFactory
    clock: Clock
    sleeper: Sleeper
    randomness: Randomness

    def order(self, order: JobOrder, *, at: datetime | None = None) -> JobId:
        """Write down *order*, to be carried out by `run`.

        Args:
            order: what is to be done.
            at: the moment that its selection is made as of, such as when a person looked at it; now if not given.
        """
        return self.jobs.add(order, now=self.clock.now() if at is None else at)

    def run(self, job_id: JobId, *, advance: Advance = lambda _: None) -> Job:
        """Carry out the job, or what is left of it.

        Args:
            job_id: of an order.
            advance: hears of the letters that have come to their end.

        Returns:
            The finished job, with what became of its letters.

        Raises:
            PermanentError: there is no such job.
            TransientError: somebody else carries it out, or a store could not be reached. What was done is noted,
                and the rest can be gone on with.
        """
        job = self._job(job_id)
        if job.finished_at is not None:
            return job
        held = self.jobs.claim(job_id, holder=self.randomness.new_id(), lease=LEASE, now=self.clock.now())
        if held is None:
            return self._held_by_another(job_id)
        try:
            if not job.frozen:
                self._select(job, held)
            self._carry_out(job, held, advance)
        except BaseException:
            with suppress(TransientError):  # the hold ends by itself, and the first error is the one to tell
                held.release(finished=False, now=self.clock.now())
            raise
        held.release(finished=True, now=self.clock.now())
        return self._job(job_id)

    def _select(self, job: Job, held: HeldJob) -> None:
        order = job.order
        selected: set[tuple[QueueName, LetterId]] = set()
        held.select([], start=0, now=self.clock.now())
        for page in self.find.pages(order.filter, until=job.ordered_at):
            fresh = {(one.queue, one.id): one for one in page if (one.queue, one.id) not in selected}
            room = len(fresh) if order.most is None else order.most - len(selected)
            now = self.clock.now()
            items = [JobItem.of(one, order, now=now) for one in islice(fresh.values(), room)]
            held.select(items, start=len(selected), now=now)
            selected |= {(item.queue, item.letter_id) for item in items}
            if len(selected) == order.most:
                break
        held.freeze(now=self.clock.now())

    def _carry_out(self, job: Job, held: HeldJob, advance: Advance) -> None:
        left = self._job(job.id).left
        started = self.clock.now()
        tries = 0
        while left > 0:
            begun_at = self.clock.now()
            try:
                done = self._carry_out_batch(job, held, elapsed=begun_at - started)
            except ClaimLostError:
                raise
            except TransientError:
                tries += 1
                if tries == TRIES:
                    raise
                self.sleeper.sleep(_AFTER_ERROR)
                continue
            if done == 0:  # what seemed to have failed was written after all
                return
            tries = 0
            left -= done
            advance(done)
            if job.order.pace is not None and left > 0:
                self._wait(held, until=begun_at + job.order.pace.pause(done, begun_at - started))

    def _carry_out_batch(self, job: Job, held: HeldJob, *, elapsed: timedelta) -> int:
        pace = job.order.pace
        most = BATCH if pace is None else pace.batch(elapsed, most=BATCH)
        items = held.begin(most, now=self.clock.now())
        if items:
            held.record(self._moved(job, items), now=self.clock.now())
        return len(items)

    def _moved(self, job: Job, items: Mapping[int, JobItem]) -> dict[int, ItemState]:
        """What became of *items*, by their place."""
        by_queue: defaultdict[QueueName, list[LetterId]] = defaultdict(list)
        for item in items.values():
            by_queue[item.queue].append(item.letter_id)
        if job.order.action is JobAction.REPLAY:
            self._release(items.values())
        move = self.letters.replay if job.order.action is JobAction.REPLAY else self.letters.discard
        moved = {
            (queue, letter_id)
            for queue, letter_ids in by_queue.items()
            for letter_id in move(queue, letter_ids, until=job.ordered_at)
        }
        return {
            place: DONE[job.order.action] if (item.queue, item.letter_id) in moved else _absent(item)
            for place, item in items.items()
        }

    def _release(self, items: Iterable[JobItem]) -> None:
        """Let messages run again that were given up, or each replay of them would end in another dead letter."""
        given_up: defaultdict[TenantId, defaultdict[FunctionName, list[MessageId]]]
        given_up = defaultdict(lambda: defaultdict(list))
        for item in items:
            if item.tenant_id is not None and item.message_id is not None and item.given_up_by is not None:
                given_up[item.tenant_id][item.given_up_by].append(item.message_id)
        for tenant_id, by_function in given_up.items():
            with self.units.begin(tenant_id) as unit:
                for function, message_ids in by_function.items():
                    unit.journal.release(function, message_ids)
                unit.commit()

    def _wait(self, held: HeldJob, *, until: datetime) -> None:
        while (left := until - self.clock.now()) > timedelta(0):
            self.sleeper.sleep(min(left, _LONGEST_SLEEP))
            if left > _LONGEST_SLEEP:
                held.record({}, now=self.clock.now())

    def _held_by_another(self, job_id: JobId) -> Job:
        job = self._job(job_id)
        if job.finished_at is not None:
            return job
        raise TransientError(
            f"job {job_id} is being carried out: if whoever did it has died, it can be gone on with {LEASE.seconds} "
            "seconds after the last sign of life"
        )

    def _job(self, job_id: JobId) -> Job:
        job = self.jobs.get(job_id)
        if job is None:
            raise PermanentError(f"there is no job {job_id}")
        return job


def _absent(item: JobItem) -> ItemState:
    return ItemState.UNCONFIRMED if item.state is ItemState.BEGUN else ItemState.GONE
