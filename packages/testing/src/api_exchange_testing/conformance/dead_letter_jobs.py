"""What every `DeadLetterJobs` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from api_exchange_core.domain.dead_letter import LetterFilter, LetterId
from api_exchange_core.domain.dead_letter_job import (
    ItemState,
    Job,
    JobAction,
    JobId,
    JobItem,
    JobOrder,
    JobState,
)
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.domain.names import FunctionName, MessageId
from api_exchange_core.domain.pace import Pace
from api_exchange_core.ports.dead_letter_jobs import DeadLetterJobs, HeldJob
from api_exchange_testing.conformance._samples import EVERY_SCRIPT, FUNCTION, NOW, QUEUE, TENANT, at
from api_exchange_testing.conformance._threads import all_at_once, persistently
from api_exchange_testing.conformance.suite import Suite

Connect = Callable[[], DeadLetterJobs]
"""Another client of one store, which is empty at first, as another process would have it."""

_LEASE = timedelta(seconds=30)
_ORDER = JobOrder(action=JobAction.REPLAY, filter=LetterFilter(), by="anna")
_FULL_ORDER = JobOrder(
    action=JobAction.DISCARD,
    filter=LetterFilter(
        queue=QUEUE,
        function=FUNCTION,
        tenant_id=TENANT,
        error=EVERY_SCRIPT,
        fingerprint="0123456789abcdef",
        correlation_id="request-1",
        message_id=MessageId("message-1"),
        buried_before=at(60),
        buried_after=at(-60),
        ids=(LetterId("1"), LetterId("zwei")),
    ),
    by="Änne 日本語",
    pace=Pace(12.5, timedelta(seconds=90)),
    most=100,
)


class DeadLetterJobsSuite(Suite):
    """Needs a fixture `connect` that returns a `Connect`."""

    @pytest.fixture
    def jobs(self, connect: Connect) -> DeadLetterJobs:
        """The client that writes."""
        return connect()

    @pytest.fixture
    def elsewhere(self, connect: Connect) -> DeadLetterJobs:
        """Another client, which reads back."""
        return connect()

    def test_an_unknown_job_is_none_and_cannot_be_claimed(self, jobs: DeadLetterJobs) -> None:
        for number in (JobId(0), JobId(-1), JobId(4711)):
            assert jobs.get(number) is None
            assert list(jobs.items(number, start=0, most=10)) == []
            assert jobs.claim(number, holder="a", lease=_LEASE, now=NOW) is None
        assert list(jobs.newest(10)) == []

    @pytest.mark.parametrize("order", [_ORDER, _FULL_ORDER], ids=["least", "most"])
    def test_what_was_ordered_reads_back(
        self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs, order: JobOrder
    ) -> None:
        job_id = jobs.add(order, now=NOW)
        assert elsewhere.get(job_id) == Job(id=job_id, order=order, ordered_at=NOW, counts={})

    def test_the_newest_jobs_come_first(self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs) -> None:
        ids = [jobs.add(_ORDER, now=NOW) for _ in range(5)]
        assert ids == sorted(set(ids))
        assert [job.id for job in elsewhere.newest(3)] == ids[:1:-1]

    def test_one_at_a_time_holds_a_job(self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs) -> None:
        job_id = jobs.add(_ORDER, now=NOW)
        held = jobs.claim(job_id, holder="a", lease=_LEASE, now=NOW)
        assert held is not None
        assert _get(elsewhere, job_id).held_until == NOW + _LEASE
        assert elsewhere.claim(job_id, holder="b", lease=_LEASE, now=at(29)) is None
        held.release(finished=False, now=at(1))
        assert _get(elsewhere, job_id).held_until is None
        assert elsewhere.claim(job_id, holder="b", lease=_LEASE, now=at(1)) is not None

    def test_of_many_that_claim_a_job_at_once_one_holds_it(
        self, jobs: DeadLetterJobs, connect: Connect
    ) -> None:
        job_id = jobs.add(_ORDER, now=NOW)
        clients = [connect() for _ in range(8)]

        def claim(thread: int) -> bool:
            claimed = persistently(
                lambda: clients[thread].claim(job_id, holder=f"{thread}", lease=_LEASE, now=NOW)
            )
            return claimed is not None

        assert sum(all_at_once(claim)) == 1

    def test_a_finished_job_is_nobodys_any_more(
        self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs
    ) -> None:
        job_id, held = _held(jobs)
        held.release(finished=True, now=at(5))
        job = _get(elsewhere, job_id)
        assert (job.finished_at, job.held_until, job.state(at(6))) == (at(5), None, JobState.FINISHED)
        assert elsewhere.claim(job_id, holder="b", lease=_LEASE, now=at(60)) is None

    def test_every_call_prolongs_the_hold(self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs) -> None:
        job_id, held = _held(jobs)
        calls: list[Callable[[], object]] = [
            lambda: held.select(_items(2), start=0, now=at(20)),
            lambda: held.freeze(now=at(40)),
            lambda: held.begin(1, now=at(60)),
            lambda: held.record({}, now=at(80)),
        ]
        for number, call in enumerate(calls, 1):
            call()
            assert _get(elsewhere, job_id).held_until == at(20 * number) + _LEASE

    def test_a_selection_is_built_page_by_page_and_frozen(
        self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs
    ) -> None:
        job_id, held = _held(jobs)
        items = _items(250)
        held.select(items[:100], start=0, now=NOW)
        held.select(items[100:], start=100, now=NOW)
        assert not _get(elsewhere, job_id).frozen
        held.freeze(now=NOW)
        job = _get(elsewhere, job_id)
        assert (job.frozen, dict(job.counts), job.left) == (True, {ItemState.WAITING: 250}, 250)
        assert list(elsewhere.items(job_id, start=0, most=1000)) == items
        assert list(elsewhere.items(job_id, start=240, most=5)) == items[240:245]

    def test_a_selection_that_is_begun_anew_forgets_what_was_selected(
        self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs
    ) -> None:
        job_id, held = _held(jobs)
        held.select(_items(10), start=0, now=NOW)
        held.select(_items(3)[1:], start=0, now=NOW)
        assert list(elsewhere.items(job_id, start=0, most=100)) == _items(3)[1:]
        held.select([], start=0, now=NOW)
        assert _get(elsewhere, job_id).selected == 0

    def test_items_are_begun_in_the_order_of_the_selection_and_end_as_recorded(
        self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs
    ) -> None:
        job_id, held = _selected(jobs, 5)
        begun = held.begin(3, now=at(1))
        assert list(begun.items()) == list(enumerate(_items(5)[:3]))
        assert [item.state for item in elsewhere.items(job_id, start=0, most=9)] == ["begun"] * 3 + [
            "waiting"
        ] * 2
        held.record({0: ItemState.REPLAYED, 1: ItemState.GONE, 2: ItemState.UNCONFIRMED}, now=at(2))
        assert list(held.begin(100, now=at(3))) == [3, 4]
        job = _get(elsewhere, job_id)
        assert (job.selected, job.left) == (5, 2)
        ended = elsewhere.items(job_id, start=0, most=9)
        assert [(item.state, item.ended_at) for item in ended] == [
            (ItemState.REPLAYED, at(2)),
            (ItemState.GONE, at(2)),
            (ItemState.UNCONFIRMED, at(2)),
            (ItemState.BEGUN, None),
            (ItemState.BEGUN, None),
        ]

    def test_what_is_refused_when_it_is_selected_is_at_its_end(
        self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs
    ) -> None:
        job_id, held = _selected(jobs, 1)
        refused = replace(_items(2)[1], state=ItemState.REFUSED, ended_at=at(1))
        held.select([refused], start=1, now=at(1))
        job = _get(elsewhere, job_id)
        assert (job.selected, job.left) == (2, 1)
        assert list(held.begin(9, now=at(2))) == [0]
        assert list(elsewhere.items(job_id, start=1, most=9)) == [refused]

    def test_what_was_in_hand_when_a_job_was_interrupted_is_told_as_begun(self, jobs: DeadLetterJobs) -> None:
        job_id, held = _selected(jobs, 4)
        held.begin(2, now=NOW)
        again = jobs.claim(job_id, holder="b", lease=_LEASE, now=at(30))
        assert again is not None
        assert [item.state for item in again.begin(3, now=at(30)).values()] == ["begun", "begun", "waiting"]

    def test_a_hold_that_nobody_took_over_goes_on_though_its_lease_has_run_out(
        self, jobs: DeadLetterJobs
    ) -> None:
        _, held = _selected(jobs, 1)
        assert list(held.begin(1, now=at(3600))) == [0]

    def test_a_late_holder_changes_nothing_any_more(
        self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs
    ) -> None:
        job_id, late = _selected(jobs, 3)
        late.begin(1, now=NOW)
        assert elsewhere.claim(job_id, holder="b", lease=_LEASE, now=at(30)) is not None
        before = _get(elsewhere, job_id), list(elsewhere.items(job_id, start=0, most=9))
        calls: list[Callable[[], object]] = [
            lambda: late.select([], start=0, now=at(31)),
            lambda: late.freeze(now=at(31)),
            lambda: late.begin(2, now=at(31)),
            lambda: late.record({0: ItemState.GONE}, now=at(31)),
            lambda: late.release(finished=True, now=at(31)),
        ]
        for call in calls:
            with pytest.raises(ClaimLostError):
                call()
        assert (_get(elsewhere, job_id), list(elsewhere.items(job_id, start=0, most=9))) == before

    def test_jobs_are_kept_apart(self, jobs: DeadLetterJobs, elsewhere: DeadLetterJobs) -> None:
        first_id, first = _selected(jobs, 3)
        second_id, second = _selected(jobs, 2)
        first.begin(3, now=NOW)
        first.record(dict.fromkeys(range(3), ItemState.REPLAYED), now=NOW)
        second.select([], start=1, now=NOW)
        assert [dict(job.counts) for job in elsewhere.newest(2)] == [
            {ItemState.WAITING: 1},
            {ItemState.REPLAYED: 3},
        ]
        assert len(elsewhere.items(first_id, start=0, most=9)) == 3
        assert len(elsewhere.items(second_id, start=0, most=9)) == 1


def _items(number: int) -> Sequence[JobItem]:
    return [
        JobItem(
            queue=QUEUE,
            letter_id=LetterId(f"letter {place}, {EVERY_SCRIPT}"),
            tenant_id=TENANT if place % 2 else None,
            message_id=MessageId(f"message-{place}") if place % 2 else None,
            given_up_by=FunctionName("pay") if place % 3 else None,
        )
        for place in range(number)
    ]


def _held(jobs: DeadLetterJobs) -> tuple[JobId, HeldJob]:
    job_id = jobs.add(_ORDER, now=NOW)
    held = jobs.claim(job_id, holder=f"holder of {job_id}", lease=_LEASE, now=NOW)
    assert held is not None
    return job_id, held


def _selected(jobs: DeadLetterJobs, number: int) -> tuple[JobId, HeldJob]:
    job_id, held = _held(jobs)
    held.select(_items(number), start=0, now=NOW)
    held.freeze(now=NOW)
    return job_id, held


def _get(jobs: DeadLetterJobs, job_id: JobId) -> Job:
    job = jobs.get(job_id)
    assert job is not None
    return job
