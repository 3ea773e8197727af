"""Jobs on dead letters: paced, frozen, gone on with after any crash, and written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core.application.dead_letter_job import BATCH, LEASE, TRIES, CarryOutDeadLetterJob
from api_exchange_core.application.find_dead_letters import FindDeadLetters
from api_exchange_core.domain.dead_letter import LetterFilter, LetterId, StoredLetter
from api_exchange_core.domain.dead_letter_job import ItemState, Job, JobAction, JobId, JobItem, JobOrder
from api_exchange_core.domain.delivery import DeadLetter, Settlement
from api_exchange_core.domain.envelope import decode, encode_letter
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_core.domain.pace import Pace
from api_exchange_core.ports.dead_letter_jobs import DeadLetterJobs, HeldJob
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_testing import (
    InMemoryDeadLetterJobs,
    InMemoryDeadLetters,
    InMemoryQueue,
    InMemoryStore,
    InMemoryUnitOfWorkFactory,
    SeededRandomness,
    VirtualClock,
)

ORDERS, SHIPMENTS = QueueName("orders"), QueueName("shipments")
TENANT = TenantId("customer-a")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYTHING = LetterFilter()


class Killed(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class Life:
    """So many more calls to the outside until the process is killed; for ever if None.

    The first *faults* calls to the letters fail.
    """

    calls: int | None = None
    faults: int = 0

    def may_fail(self) -> None:
        if self.faults > 0:
            self.faults -= 1
            raise TransientError("out of reach")

    def lives(self) -> None:
        if self.calls is not None:
            if self.calls == 0:
                raise Killed
            self.calls -= 1


@dataclass(frozen=True, slots=True)
class MortalLetters(DeadLetters):
    """Letters that a process works with which may be killed before or after each call."""

    real: DeadLetters
    life: Life

    @override
    def scan(self, queue: QueueName, *, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        for page in self.real.scan(queue, until=until):
            self.life.lives()
            yield page

    @override
    def get(self, letter_id: LetterId) -> StoredLetter | None:
        return self.real.get(letter_id)

    @override
    def replay(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        self.life.lives()
        moved = self.real.replay(queue, letter_ids, until=until)
        self.life.lives()
        self.life.may_fail()
        return moved

    @override
    def discard(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        self.life.lives()
        moved = self.real.discard(queue, letter_ids, until=until)
        self.life.lives()
        return moved


@dataclass(frozen=True, slots=True)
class MortalJob(HeldJob):
    """A job in the hands of such a process."""

    real: HeldJob
    life: Life

    @override
    def select(self, items: Sequence[JobItem], *, start: int, now: datetime) -> None:
        self.life.lives()
        self.real.select(items, start=start, now=now)

    @override
    def freeze(self, *, now: datetime) -> None:
        self.life.lives()
        self.real.freeze(now=now)

    @override
    def begin(self, most: int, *, now: datetime) -> Mapping[int, JobItem]:
        self.life.lives()
        return self.real.begin(most, now=now)

    @override
    def record(self, outcomes: Mapping[int, ItemState], *, now: datetime) -> None:
        self.life.lives()
        self.real.record(outcomes, now=now)

    @override
    def release(self, *, finished: bool, now: datetime) -> None:
        self.life.lives()
        self.real.release(finished=finished, now=now)


@dataclass(frozen=True, slots=True)
class MortalJobs(DeadLetterJobs):
    """The books that such a process writes."""

    real: DeadLetterJobs
    life: Life

    @override
    def add(self, order: JobOrder, *, now: datetime) -> JobId:
        return self.real.add(order, now=now)

    @override
    def claim(self, job_id: JobId, *, holder: str, lease: timedelta, now: datetime) -> HeldJob | None:
        self.life.lives()
        held = self.real.claim(job_id, holder=holder, lease=lease, now=now)
        return None if held is None else MortalJob(held, self.life)

    @override
    def get(self, job_id: JobId) -> Job | None:
        return self.real.get(job_id)

    @override
    def newest(self, most: int) -> Sequence[Job]:
        return self.real.newest(most)

    @override
    def items(self, job_id: JobId, *, start: int, most: int) -> Sequence[JobItem]:
        return self.real.items(job_id, start=start, most=most)


@dataclass(frozen=True, slots=True)
class Sleeping(Sleeper):
    """Lets the clock run, and what happens elsewhere happen meanwhile."""

    clock: VirtualClock
    naps: list[timedelta] = field(default_factory=list)

    @override
    def sleep(self, time: timedelta) -> None:
        self.naps.append(time)
        self.clock.advance(time)

    @override
    async def sleep_async(self, time: timedelta) -> None:
        self.sleep(time)


class World:
    """Queues with dead letters, and processes that carry out jobs on them."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.queues = InMemoryQueue(self.clock)
        self.letters = InMemoryDeadLetters(self.queues)
        self.jobs = InMemoryDeadLetterJobs()
        self.units = InMemoryUnitOfWorkFactory(InMemoryStore())
        self.sleeper = Sleeping(self.clock)
        self.randomness = SeededRandomness(1)

    def process(self, life: Life | None = None) -> CarryOutDeadLetterJob:
        life = Life() if life is None else life
        letters = MortalLetters(self.letters, life)
        return CarryOutDeadLetterJob(
            find=FindDeadLetters(letters, self.queues),
            letters=letters,
            jobs=MortalJobs(self.jobs, life),
            units=self.units,
            clock=self.clock,
            sleeper=self.sleeper,
            randomness=self.randomness,
        )

    def bury(self, number: int, queue: QueueName = ORDERS, *, prefix: str = "m") -> None:
        failure = Failure("to-canonical", queue, "KeyError", "'id'", "f" * 16, 5, self.clock.now())
        messages = [message(f"{prefix}-{place}") for place in range(number)]
        self.queues.publish(
            [
                Outgoing(
                    queue=dead_letter_queue(queue),
                    tenant_id=TENANT,
                    message_id=one.id,
                    body=encode_letter(one, failure),
                )
                for one in messages
            ]
        )

    def order(
        self,
        filter_: LetterFilter = EVERYTHING,
        *,
        action: JobAction = JobAction.REPLAY,
        pace: Pace | None = None,
        most: int | None = None,
    ) -> JobId:
        return self.process().order(JobOrder(action=action, filter=filter_, by="anna", pace=pace, most=most))

    def waiting(self, queue: QueueName = ORDERS) -> list[str]:
        return [decode(one.body).id for one in self.queues.messages(queue)]

    def dead(self, queue: QueueName = ORDERS) -> list[str]:
        return [decode(one.body).id for one in self.queues.messages(QueueName(f"{queue}-dlq"))]

    def replayed_at(self) -> Counter[int]:
        """How many were put back in each second since the start."""
        return Counter(int((one.enqueued_at - START).total_seconds()) for one in self.queues.messages(ORDERS))


def message(name: str) -> Message:
    return Message(
        id=MessageId(name),
        tenant_id=TENANT,
        source="/orders/fetch",
        payload={"id": name},
        time=START,
        correlation_id="request-1",
        attempt=5,
    )


@pytest.fixture
def world() -> World:
    return World()


def test_a_replay_puts_back_what_the_filter_takes_oldest_first_and_says_so(world: World) -> None:
    world.bury(250)
    world.bury(3, SHIPMENTS)
    done: list[int] = []
    job = world.process().run(world.order(LetterFilter(queue=ORDERS)), advance=done.append)
    assert world.waiting() == [f"m-{number}" for number in range(250)]
    assert (world.dead(), len(world.dead(SHIPMENTS))) == ([], 3)
    assert (job.finished_at, dict(job.counts)) == (world.clock.now(), {ItemState.REPLAYED: 250})
    assert sum(done) == 250
    assert all(number <= BATCH for number in done)


def test_replayed_messages_are_at_their_first_attempt(world: World) -> None:
    world.bury(1)
    world.process().run(world.order())
    (queued,) = world.queues.messages(ORDERS)
    assert (decode(queued.body).attempt, decode(queued.body).replays) == (1, 1)


def test_a_discard_removes_and_sends_nothing(world: World) -> None:
    world.bury(120)
    job = world.process().run(world.order(action=JobAction.DISCARD))
    assert (world.waiting(), world.dead()) == ([], [])
    assert dict(job.counts) == {ItemState.DISCARDED: 120}


def test_the_books_name_every_letter(world: World) -> None:
    world.bury(2)
    job = world.process().run(world.order())
    items = world.jobs.items(job.id, start=0, most=10)
    assert [(item.message_id, item.tenant_id, item.state) for item in items] == [
        ("m-0", TENANT, ItemState.REPLAYED),
        ("m-1", TENANT, ItemState.REPLAYED),
    ]


def test_a_job_for_so_many_takes_the_oldest_and_leaves_the_rest(world: World) -> None:
    world.bury(50)
    world.process().run(world.order(most=15))
    assert world.waiting() == [f"m-{number}" for number in range(15)]
    assert len(world.dead()) == 35


def test_a_job_for_named_letters_takes_these(world: World) -> None:
    world.bury(5)
    third = world.queues.messages(QueueName("orders-dlq"))[2]
    twice_and_an_unknown = (LetterId(str(third.number)), LetterId(str(third.number)), LetterId("none"))
    job = world.process().run(world.order(LetterFilter(ids=twice_and_an_unknown)))
    assert (world.waiting(), job.selected) == (["m-2"], 1)


def test_a_job_that_finds_nothing_is_finished_at_once(world: World) -> None:
    job = world.process().run(world.order())
    assert (job.selected, job.finished_at, world.sleeper.naps) == (0, START, [])


def test_letters_that_died_after_the_order_are_left_alone_however_late_the_job_runs(world: World) -> None:
    world.bury(3, prefix="early")
    job_id = world.order()
    world.clock.advance(timedelta(seconds=1))
    world.bury(3, prefix="late")
    job = world.process().run(job_id)
    assert (job.selected, world.dead()) == (3, ["late-0", "late-1", "late-2"])


def test_a_message_that_dies_again_during_the_job_is_not_replayed_by_it_again(world: World) -> None:
    world.bury(4)
    job_id = world.order(pace=Pace(1.0))

    def die_again(_: int) -> None:
        for one in world.queues.receive(ORDERS, max_messages=10, visibility=timedelta(minutes=5)):
            failure = Failure("to-canonical", ORDERS, "KeyError", "'id'", "f" * 16, 1, world.clock.now())
            letter = encode_letter(decode(one.body), failure)
            world.queues.settle([Settlement(one, DeadLetter(letter, "dead"))])

    job = world.process().run(job_id, advance=die_again)
    assert dict(job.counts) == {ItemState.REPLAYED: 4}
    letters = [one.body for one in world.queues.messages(QueueName("orders-dlq"))]
    assert [decode(letter).replays for letter in letters] == [1] * 4


def test_a_letter_that_somebody_else_took_meanwhile_is_gone_and_not_counted_as_replayed(
    world: World,
) -> None:
    world.bury(3)
    job_id = world.order(pace=Pace(1.0))
    last = LetterId(str(world.queues.messages(QueueName("orders-dlq"))[-1].number))
    job = world.process().run(job_id, advance=lambda _: discard(world.letters, last, until=world.clock.now()))
    assert dict(job.counts) == {ItemState.REPLAYED: 2, ItemState.GONE: 1}


def test_what_is_no_message_of_an_exchange_stays_and_holds_up_no_other(world: World) -> None:
    world.bury(150)
    foreign = Outgoing(
        queue=dead_letter_queue(ORDERS), tenant_id=TENANT, message_id=MessageId("theirs"), body=b"<order/>"
    )
    world.queues.publish([foreign])
    world.bury(1, prefix="last")
    job_id = world.order()
    job = world.process().run(job_id)
    assert dict(job.counts) == {ItemState.REPLAYED: 151, ItemState.REFUSED: 1}
    assert job.finished_at is not None
    (left,) = world.queues.messages(dead_letter_queue(ORDERS))
    assert left.body == b"<order/>"
    refused = world.jobs.items(job_id, start=150, most=1)[0]
    assert (refused.state, refused.ended_at) == (ItemState.REFUSED, START)
    discarded = world.process().run(world.order(action=JobAction.DISCARD))
    assert dict(discarded.counts) == {ItemState.DISCARDED: 1}


def discard(letters: DeadLetters, letter_id: LetterId, *, until: datetime) -> None:
    letters.discard(ORDERS, [letter_id], until=until)


# Pace


def test_a_rate_is_kept_to_a_tenth_of_a_second(world: World) -> None:
    world.bury(200)
    world.process().run(world.order(pace=Pace(50.0)))
    assert len(world.waiting()) == 200
    assert timedelta(seconds=3.8) <= world.clock.now() - START <= timedelta(seconds=4)
    assert max(world.replayed_at().values()) <= 50 + 5


def test_a_high_rate_is_kept_too(world: World) -> None:
    world.bury(1_500)
    world.process().run(world.order(pace=Pace(500.0)))
    assert timedelta(seconds=2.8) <= world.clock.now() - START <= timedelta(seconds=3)


def test_a_ramp_starts_slowly_and_reaches_the_rate(world: World) -> None:
    world.bury(600)
    world.process().run(world.order(pace=Pace(20.0, timedelta(seconds=40))))
    by_second = world.replayed_at()
    assert max(by_second[second] for second in range(4)) <= 3
    assert sum(by_second[second] for second in range(20)) < sum(by_second[second] for second in range(20, 40))
    assert 18 <= by_second[42] <= 20
    assert max(by_second.values()) <= 20 + 2


def test_what_was_not_used_of_a_rate_is_not_caught_up(world: World) -> None:
    world.bury(100)

    def stall(_: int) -> None:
        if world.clock.now() - START == timedelta(seconds=1):
            world.clock.advance(timedelta(seconds=30))

    world.process().run(world.order(pace=Pace(20.0)), advance=stall)
    assert max(world.replayed_at().values()) <= 20 + 2


def test_there_is_no_wait_after_the_last_letter(world: World) -> None:
    world.bury(1)
    world.process().run(world.order(pace=Pace(0.001)))
    assert world.sleeper.naps == []


def test_a_long_wait_is_no_sign_of_death(world: World) -> None:
    world.bury(2)
    job_id = world.order(pace=Pace(1 / 3600))
    others: list[HeldJob | None] = []

    def try_to_take_over(_: timedelta) -> None:
        others.append(world.jobs.claim(job_id, holder="other", lease=LEASE, now=world.clock.now()))

    @dataclass(frozen=True, slots=True)
    class Watched(Sleeping):
        @override
        def sleep(self, time: timedelta) -> None:
            Sleeping.sleep(self, time)
            try_to_take_over(time)

    world.sleeper = Watched(world.clock)
    job = world.process().run(job_id)
    assert dict(job.counts) == {ItemState.REPLAYED: 2}
    assert len(others) > 100
    assert not any(others)


# Crashes, and two at once


def test_wherever_a_job_is_killed_it_can_be_gone_on_with_and_each_letter_moves_once() -> None:
    steps = 0
    while True:
        world = World()
        world.bury(130)
        job_id = world.order(LetterFilter(queue=ORDERS))
        world.clock.advance(timedelta(seconds=1))
        world.bury(5, prefix="late")
        try:
            world.process(Life(steps)).run(job_id)
        except Killed:
            world.clock.advance(LEASE)
            world.bury(5, prefix="later")
            job = world.process().run(job_id)
        else:
            break
        assert world.waiting() == [f"m-{number}" for number in range(130)], f"killed after {steps} calls"
        assert len(world.dead()) == 10, f"killed after {steps} calls"
        assert job.finished_at is not None
        assert job.counts[ItemState.REPLAYED] + job.counts.get(ItemState.UNCONFIRMED, 0) == 130
        assert job.counts.get(ItemState.UNCONFIRMED, 0) <= BATCH
        assert set(job.counts) <= {ItemState.REPLAYED, ItemState.UNCONFIRMED}
        steps += 1
    assert steps > 12


def test_a_killed_job_is_killed_again_and_again_and_still_comes_to_its_end(world: World) -> None:
    world.bury(250)
    job_id = world.order()
    for calls in range(60):
        try:
            world.process(Life(5 + calls // 10)).run(job_id)
        except Killed:
            world.clock.advance(LEASE)
    job = world.process().run(job_id)
    assert job.finished_at is not None
    assert sorted(world.waiting()) == sorted(f"m-{number}" for number in range(250))


def test_a_job_that_somebody_carries_out_is_not_carried_out_beside_it(world: World) -> None:
    world.bury(10)
    job_id = world.order(pace=Pace(1.0))
    refused: list[TransientError] = []

    def another(_: int) -> None:
        try:
            world.process().run(job_id)
        except TransientError as error:
            refused.append(error)

    job = world.process().run(job_id, advance=another)
    assert len(refused) == 10
    assert (len(world.waiting()), dict(job.counts)) == (10, {ItemState.REPLAYED: 10})


def test_one_that_was_taken_for_dead_stops_and_spoils_nothing(world: World) -> None:
    world.bury(250)
    job_id = world.order()

    def slept_too_long(_: int) -> None:
        world.clock.advance(LEASE)
        job = world.process().run(job_id)
        assert dict(job.counts) == {ItemState.REPLAYED: 250}

    with pytest.raises(TransientError, match="somebody else"):
        world.process().run(job_id, advance=slept_too_long)
    assert world.waiting() == [f"m-{number}" for number in range(250)]


def test_two_jobs_on_the_same_letters_move_each_once(world: World) -> None:
    world.bury(150)
    first, second = world.order(), world.order(action=JobAction.DISCARD)
    ran: list[Job] = []

    def meanwhile(_: int) -> None:
        if not ran:
            ran.append(world.process().run(second))

    job = world.process().run(first, advance=meanwhile)
    assert dict(job.counts) == {ItemState.REPLAYED: 100, ItemState.GONE: 50}
    assert dict(ran[0].counts) == {ItemState.DISCARDED: 50}
    assert (len(world.waiting()), world.dead()) == (100, [])


def test_a_transport_that_comes_back_soon_does_not_end_the_job(world: World) -> None:
    world.bury(250)
    job = world.process(Life(faults=TRIES - 1)).run(world.order())
    assert world.waiting() == [f"m-{number}" for number in range(250)]
    assert dict(job.counts) == {ItemState.UNCONFIRMED: 100, ItemState.REPLAYED: 150}
    assert len(world.sleeper.naps) == TRIES - 1


def test_a_transport_that_stays_away_leaves_the_job_to_be_gone_on_with_at_once(world: World) -> None:
    world.bury(3)
    job_id = world.order()
    with pytest.raises(TransientError, match="out of reach"):
        world.process(Life(faults=TRIES)).run(job_id)
    assert dict(world.process().run(job_id).counts) == {ItemState.UNCONFIRMED: 3}
    assert len(world.waiting()) == 3


def test_a_store_that_wrote_and_did_not_say_so_does_not_hold_up_the_job(world: World) -> None:
    world.bury(3)

    @dataclass(frozen=True, slots=True)
    class Mute(MortalJob):
        @override
        def record(self, outcomes: Mapping[int, ItemState], *, now: datetime) -> None:
            MortalJob.record(self, outcomes, now=now)
            raise TransientError("no answer")

    @dataclass(frozen=True, slots=True)
    class MuteJobs(MortalJobs):
        @override
        def claim(self, job_id: JobId, *, holder: str, lease: timedelta, now: datetime) -> HeldJob | None:
            held = self.real.claim(job_id, holder=holder, lease=lease, now=now)
            return None if held is None else Mute(held, self.life)

    process = replace(world.process(), jobs=MuteJobs(world.jobs, Life()))
    assert dict(process.run(world.order()).counts) == {ItemState.REPLAYED: 3}


def test_a_finished_job_is_told_and_not_carried_out_again(world: World) -> None:
    world.bury(1)
    job = world.process().run(world.order())
    world.bury(1, prefix="late")
    assert world.process().run(job.id) == job
    assert world.dead() == ["late-0"]


def test_an_unknown_job_is_refused(world: World) -> None:
    with pytest.raises(PermanentError, match="no job 7"):
        world.process().run(JobId(7))
