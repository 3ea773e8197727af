"""Timers on a virtual clock that passes while they wait: which ticks fire, for whom, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    Schedule,
    TransientError,
)
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.domain.names import TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.timers import Timers
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import Harness, VirtualClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class PassingBell(Bell):
    """Waiting takes its whole time, on a virtual clock, and a little more."""

    def __init__(self, clock: VirtualClock, lag: timedelta) -> None:
        super().__init__()
        self._clock = clock
        self._lag = lag

    @override
    def wait(self, heard: int, *, at_most: timedelta) -> None:
        self._clock.advance(at_most + self._lag)

    @override
    def rest(self, length: timedelta, *, stopping: Callable[[], bool]) -> None:
        self._clock.advance(length + self._lag)


class Fetch(ProcessorInterface):
    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("fetched"))
        return result


class DownUntil(MessagePublisher):
    """A transport that cannot be reached before a certain time."""

    def __init__(self, publisher: MessagePublisher, clock: VirtualClock, up_at: datetime) -> None:
        self._publisher = publisher
        self._clock = clock
        self._up_at = up_at

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        if self._clock.now() < self._up_at:
            raise TransientError("no route")
        self._publisher.publish(messages)


def harness_at(start: datetime, **schedules: Schedule) -> Harness:
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    for name, schedule in schedules.items():
        exchange.timer(name, schedule, Fetch)
    return Harness(exchange, clock=VirtualClock(start))


def run_timers(
    harness: Harness,
    *,
    until: datetime,
    publisher: MessagePublisher | None = None,
    clock: VirtualClock | None = None,
    lag: timedelta = timedelta(0),
) -> None:
    """The timers of one process, from now *until* then, by the harness's clock or one of the process's own."""
    clock = harness.clock if clock is None else clock
    publisher = harness.queues if publisher is None else publisher
    Timers(
        functions=harness.exchange.functions,
        fan_out=FanOutTick(harness.exchange.name, harness.tenants, publisher, clock, harness.observer),
        clock=clock,
        observer=harness.observer,
        bell=PassingBell(clock, lag),
        stopping=lambda: clock.now() >= until,
    ).run()


def ticks(harness: Harness, function: str) -> list[tuple[str, str]]:
    """Tenant and scheduled time of what waits for a timer function."""
    return [
        (message.tenant_id, datetime.fromisoformat(message.payload["scheduled_at"]).strftime("%H:%M"))
        for message in harness.queue(function)
        if isinstance(message.payload, dict) and isinstance(message.payload["scheduled_at"], str)
    ]


def test_each_timer_fires_at_its_times_once_a_tenant() -> None:
    harness = harness_at(
        NOON + timedelta(seconds=1),
        often=Schedule.every(minutes=20),
        seldom=Schedule.every(hours=1),
        tomorrow=Schedule.cron("0 6 * * *"),
    )
    run_timers(harness, until=NOON + HOUR + timedelta(minutes=1))
    assert ticks(harness, "often") == [
        (tenant, at) for at in ("12:20", "12:40", "13:00") for tenant in ("customer-a", "customer-b")
    ]
    assert ticks(harness, "seldom") == [("customer-a", "13:00"), ("customer-b", "13:00")]
    assert ticks(harness, "tomorrow") == []


def test_a_tick_fires_when_it_is_due_and_not_before_and_hardly_after() -> None:
    harness = harness_at(NOON + timedelta(seconds=0.3), often=Schedule.every(minutes=1))
    run_timers(harness, until=NOON + timedelta(minutes=5, seconds=1))
    late = [
        message.enqueued_at - NOON - timedelta(minutes=minute)
        for minute, message in enumerate(
            harness.queues.messages(harness.exchange.functions[0].input_queue)[::2], 1
        )
    ]
    assert len(late) == 5
    assert all(timedelta(0) <= each <= timedelta(milliseconds=50) for each in late)


def test_a_timer_that_starts_right_at_a_scheduled_time_fires_at_the_next() -> None:
    harness = harness_at(NOON, often=Schedule.every(minutes=20))
    run_timers(harness, until=NOON + timedelta(minutes=21))
    assert [at for _, at in ticks(harness, "often")] == ["12:20", "12:20"]


def test_ticks_that_were_missed_while_the_process_was_down_are_not_made_up_for() -> None:
    harness = harness_at(NOON, often=Schedule.every(minutes=20))
    run_timers(harness, until=NOON + timedelta(minutes=21))
    harness.clock.advance(3 * HOUR)
    run_timers(harness, until=NOON + timedelta(hours=3, minutes=41))
    assert [at for _, at in ticks(harness, "often")][::2] == ["12:20", "15:40"]


def test_a_process_that_stood_still_over_several_ticks_fires_the_one_that_it_waited_for() -> None:
    stands_still = iter([HOUR])

    class StandsStillOnce(DownUntil):
        @override
        def publish(self, messages: Sequence[Outgoing]) -> None:
            super().publish(messages)
            self._clock.advance(next(stands_still, timedelta(0)))

    harness = harness_at(NOON, often=Schedule.every(minutes=20))
    asleep = StandsStillOnce(harness.queues, harness.clock, NOON)
    run_timers(harness, until=NOON + timedelta(minutes=101), publisher=asleep)
    assert [at for _, at in ticks(harness, "often")][::2] == ["12:20", "12:40", "13:40"]


def test_two_processes_with_the_same_timer_make_one_effect_a_tick() -> None:
    harness = harness_at(NOON, often=Schedule.every(minutes=20))
    for lag in (timedelta(0), timedelta(milliseconds=7)):
        run_timers(harness, until=NOON + HOUR, clock=VirtualClock(NOON), lag=lag)
    assert len(ticks(harness, "often")) == 2 * 2 * 2
    harness.run()
    harness.clock.advance(HOUR)
    outcomes = [summary.outcome for summary in harness.observer.summaries]
    assert outcomes.count(Outcome.COMPLETED) == 2 * 2
    assert outcomes.count(Outcome.DUPLICATE) == 2 * 2
    assert [message.tenant_id for message in harness.queue("fetched")].count(TenantId("customer-a")) == 2


def test_a_tick_that_could_not_be_sent_is_told_and_tried_again_for_the_same_scheduled_time() -> None:
    harness = harness_at(NOON, often=Schedule.every(minutes=20))
    up_at = NOON + timedelta(minutes=20, seconds=5)
    down = DownUntil(harness.queues, harness.clock, up_at)
    run_timers(harness, until=NOON + timedelta(minutes=41), publisher=down)
    assert [at for _, at in ticks(harness, "often")][::2] == ["12:20", "12:40"]
    told = harness.observer.events
    assert 1 < len(told) <= 6
    assert {(event.name, event.facts["function"], event.facts["reason"]) for event in told} == {
        ("timer.error", "often", "no route")
    }


def test_a_timer_that_cannot_be_sent_holds_up_no_other() -> None:
    harness = harness_at(NOON, broken=Schedule.every(minutes=20), sound=Schedule.every(minutes=20))

    class RefusesOne(DownUntil):
        @override
        def publish(self, messages: Sequence[Outgoing]) -> None:
            if any(message.queue == "broken" for message in messages):
                raise TransientError("no route")
            super().publish(messages)

    refuses = RefusesOne(harness.queues, harness.clock, NOON)
    run_timers(harness, until=NOON + timedelta(minutes=20, seconds=5), publisher=refuses)
    assert ticks(harness, "broken") == []
    assert ticks(harness, "sound") == [("customer-a", "12:20"), ("customer-b", "12:20")]


def test_a_disabled_tenant_gets_no_tick_and_one_that_is_enabled_again_gets_the_next() -> None:
    harness = harness_at(NOON, often=Schedule.every(minutes=20))
    harness.tenants.set_enabled(TenantId("customer-b"), enabled=False)
    run_timers(harness, until=NOON + timedelta(minutes=21))
    harness.tenants.set_enabled(TenantId("customer-b"), enabled=True)
    run_timers(harness, until=NOON + timedelta(minutes=41))
    assert ticks(harness, "often") == [
        ("customer-a", "12:20"),
        ("customer-a", "12:40"),
        ("customer-b", "12:40"),
    ]


def test_a_tenant_that_is_added_while_the_process_runs_gets_the_next_tick() -> None:
    harness = harness_at(NOON, often=Schedule.every(minutes=20))
    run_timers(harness, until=NOON + timedelta(minutes=21))
    harness.tenants.add([TenantId("customer-c")], now=harness.clock.now())
    run_timers(harness, until=NOON + timedelta(minutes=41))
    assert [tenant for tenant, at in ticks(harness, "often") if at == "12:40"] == [
        "customer-a",
        "customer-b",
        "customer-c",
    ]


def test_without_timers_there_is_nothing_to_fire() -> None:
    harness = harness_at(NOON)
    run_timers(harness, until=NOON + timedelta(minutes=1))
    assert harness.queues.depths() == {}
    assert harness.observer.events == []
