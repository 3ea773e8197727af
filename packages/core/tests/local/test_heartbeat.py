"""Renewing what is in hand: at a third of its time, up to a limit, and told when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.local.heartbeat import BatchKeeper, Heartbeat
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import InMemoryQueue, RecordingObserver, VirtualClock
from packages.core.tests.local.begun_threads import BegunThreads

INBOX = QueueName("inbox")
VISIBILITY = timedelta(minutes=3)
MINUTE = 60.0
SOON = 20.0


class Stopwatch:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class StillHeartbeat(Heartbeat):
    """Without a thread: a test beats it."""

    @override
    def _wake_by(self, due: float) -> None:
        pass


class Bench:
    """A queue and a heartbeat on one time."""

    def __init__(self) -> None:
        self.watch = Stopwatch()
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.queue = InMemoryQueue(self.clock)
        self.observer = RecordingObserver()
        self.heartbeat = StillHeartbeat(self.observer, self.watch)

    def received(self, *names: str) -> Sequence[Delivery]:
        for name in names:
            self.queue.publish(
                [
                    Outgoing(
                        queue=INBOX,
                        tenant_id=TenantId("customer-a"),
                        message_id=MessageId(name),
                        body=name.encode(),
                    )
                ]
            )
        return self.receive()

    def receive(self) -> Sequence[Delivery]:
        return self.queue.receive(INBOX, max_messages=10, visibility=VISIBILITY)

    def keeper(self, deliveries: Sequence[Delivery], *, max_run: timedelta) -> BatchKeeper:
        return BatchKeeper(self.heartbeat, self.queue, deliveries, visibility=VISIBILITY, max_run=max_run)

    def pass_minutes(self, minutes: int) -> None:
        """Minute by minute, as a thread that is never late would beat."""
        for _ in range(minutes):
            self.watch.seconds += MINUTE
            self.clock.advance(timedelta(minutes=1))
            self.heartbeat.beat()


def test_what_is_in_hand_stays_invisible_far_beyond_its_visibility() -> None:
    bench = Bench()
    deliveries = bench.received("first", "second")
    keeper = bench.keeper(deliveries, max_run=timedelta(hours=1))
    with keeper.extending():
        for _ in range(20):
            bench.pass_minutes(1)
            assert bench.receive() == []
    assert not any(keeper.has_lost(one) for one in deliveries)


def test_after_the_longest_run_nothing_is_renewed_any_more() -> None:
    bench = Bench()
    keeper = bench.keeper(bench.received("hangs"), max_run=timedelta(minutes=10))
    with keeper.extending():
        bench.pass_minutes(11)
        assert bench.receive() == []
        bench.pass_minutes(2)
        assert [one.body for one in bench.receive()] == [b"hangs"]


def test_once_the_work_is_done_nothing_is_renewed() -> None:
    bench = Bench()
    with bench.keeper(bench.received("done"), max_run=timedelta(hours=1)).extending():
        bench.pass_minutes(1)
    bench.pass_minutes(3)
    assert [one.body for one in bench.receive()] == [b"done"]


def test_a_delivery_that_somebody_else_has_by_now_is_known_to_be_lost_and_the_rest_is_renewed() -> None:
    bench = Bench()
    [late] = bench.received("late")
    bench.clock.advance(VISIBILITY)
    [_current, ours] = bench.received("ours")
    keeper = bench.keeper([late, ours], max_run=timedelta(hours=1))
    with keeper.extending():
        bench.pass_minutes(1)
        assert [keeper.has_lost(late), keeper.has_lost(ours)] == [True, False]
        bench.pass_minutes(2)
        assert [one.body for one in bench.receive()] == [b"late"]


def test_a_renewal_that_fails_is_told_without_its_text_and_comes_again_at_its_next_turn() -> None:
    bench = Bench()
    beats: list[float] = []

    def renew() -> None:
        beats.append(bench.watch.seconds)
        raise RuntimeError("hunter2")

    with bench.heartbeat.beating(renew, every=timedelta(minutes=2), until=bench.watch.seconds + 7 * MINUTE):
        bench.pass_minutes(10)
    assert beats == [1_120, 1_240, 1_360]
    assert [event.name for event in bench.observer.events] == ["claims.not_renewed"] * 3
    assert "hunter2" not in repr(bench.observer.events)


def test_each_is_renewed_at_its_own_pace() -> None:
    bench = Bench()
    fast: list[float] = []
    slow: list[float] = []
    far = bench.watch.seconds + 1_000 * MINUTE
    with (
        bench.heartbeat.beating(
            lambda: fast.append(bench.watch.seconds), every=timedelta(minutes=1), until=far
        ),
        bench.heartbeat.beating(
            lambda: slow.append(bench.watch.seconds), every=timedelta(minutes=5), until=far
        ),
    ):
        bench.pass_minutes(10)
    assert (len(fast), len(slow)) == (10, 2)


def test_one_thread_beats_for_all_and_ends_when_it_is_closed() -> None:
    heartbeat = Heartbeat(RecordingObserver())
    renewed = [threading.Event(), threading.Event()]
    begun = BegunThreads()
    far = heartbeat.now + SOON
    with (
        heartbeat.beating(renewed[0].set, every=timedelta(hours=1), until=far + 7_200),
        heartbeat.beating(renewed[1].set, every=timedelta(milliseconds=5), until=far),
    ):
        assert renewed[1].wait(SOON), "who comes later and is due sooner wakes the thread"
        assert begun.names == ["heartbeat"]
        heartbeat.close()
        assert begun.all == []
    assert not renewed[0].is_set()


def test_the_thread_ends_by_itself_when_nothing_is_left_and_starts_again() -> None:
    heartbeat = Heartbeat(RecordingObserver())
    for _ in range(2):
        begun = BegunThreads()
        renewed = threading.Event()
        with heartbeat.beating(renewed.set, every=timedelta(milliseconds=5), until=heartbeat.now + SOON):
            assert renewed.wait(SOON)
        [thread] = begun.all
        thread.join(SOON)
        assert not thread.is_alive()


@pytest.mark.parametrize("beats", [0, 1])
def test_a_heartbeat_that_is_closed_renews_nothing(beats: int) -> None:
    heartbeat = Heartbeat(RecordingObserver())
    heartbeat.close()
    renewed: list[int] = []
    begun = BegunThreads()
    with heartbeat.beating(lambda: renewed.append(1), every=timedelta(0), until=heartbeat.now + beats):
        assert begun.all == []
    assert renewed == []
