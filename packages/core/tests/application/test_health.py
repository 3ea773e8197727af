"""Healthy or not, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from api_exchange_core.application.health import Health, Judgement, Reason, Thresholds, judge
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.backlog import Waiting, WaitingMessages
from api_exchange_core.ports.error_groups import ErrorGroup, GroupState
from api_exchange_core.ports.statistics import FailureCount, FunctionStatistics, Statistics

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROUTE = FunctionName("route-orders")
COUNTS = st.integers(0, 1_000)
LENIENT = Thresholds(
    success_rate=0, failed_attempts=1, oldest_waiting=HOUR * 24, oldest_effect=HOUR * 24, dead_letters=10**9
)


def judged(*functions: FunctionStatistics, thresholds: Thresholds | None = None, **others: Any) -> Judgement:
    given_: dict[str, Any] = {"waiting": (), "effects": None, "errors": ()} | others
    return judge(
        Statistics(since=NOW - HOUR, until=NOW, functions=functions),
        thresholds=Thresholds() if thresholds is None else thresholds,
        **given_,
    )


def done(**counts: Any) -> FunctionStatistics:
    return FunctionStatistics(function=ROUTE, **counts)


def waiting(queue: str, count: int, age: timedelta) -> WaitingMessages:
    return WaitingMessages(queue=QueueName(queue), count=count, since=NOW - age)


def group(state: GroupState, seen: timedelta = timedelta(minutes=1)) -> ErrorGroup:
    return ErrorGroup(
        fingerprint="3f2a",
        function=ROUTE,
        operation=None,
        code="ConnectError",
        reason="no",
        stack="",
        message_id=MessageId("m"),
        count=1,
        first_seen=NOW - seen,
        last_seen=NOW - seen,
        state=state,
        tenants=(TenantId("customer-a"),),
    )


def why(judgement: Judgement) -> list[tuple[str, str]]:
    assert judgement.health is (Health.UNHEALTHY if judgement.reasons else judgement.health)
    return [(reason.where, reason.text) for reason in judgement.reasons]


def test_forty_of_forty_that_failed_are_not_healthy_and_name_the_error() -> None:
    failures = (FailureCount(fingerprint="3f2a", code="ConnectError", count=40),)
    assert why(judged(done(dead=40, failed_attempts=40, failures=failures))) == [
        ("route-orders", "40 of 40 messages failed in the last 60 min (error ConnectError, 3f2a)")
    ]


@given(dead=COUNTS, retrying=COUNTS, failed_attempts=COUNTS)
def test_a_function_that_completed_nothing_of_what_it_tried_is_never_healthy(
    dead: int, retrying: int, failed_attempts: int
) -> None:
    assume(dead + retrying + failed_attempts > 0)
    mixed = done(dead=dead, retrying=retrying, failed_attempts=failed_attempts)
    other = FunctionStatistics(function=FunctionName("to-canonical"), completed=10**6)
    assert judged(other, mixed, thresholds=LENIENT).health is Health.UNHEALTHY


@given(completed=st.integers(1, 1_000), deferred=COUNTS)
def test_a_function_that_completed_all_is_healthy_without_reasons(completed: int, deferred: int) -> None:
    assert judged(done(completed=completed, deferred=deferred)) == Judgement(
        health=Health.HEALTHY, reasons=[]
    )


def test_no_traffic_is_neither_healthy_nor_unhealthy() -> None:
    assert judged() == Judgement(health=Health.IDLE, reasons=[])


def test_no_traffic_while_messages_wait_for_long_is_unhealthy() -> None:
    said = why(judged(waiting=[waiting("orders-fetched", 1_200, 3 * HOUR)]))
    assert said == [("orders-fetched", "1,200 messages waiting, the oldest for 3 h")]


def test_messages_that_wait_for_a_short_time_are_no_reason() -> None:
    assert judged(waiting=[waiting("orders-fetched", 1_200, timedelta(minutes=15))]).reasons == []
    assert judged(waiting=[waiting("orders-fetched", 1, timedelta(minutes=16))]).health is Health.UNHEALTHY


def test_queues_that_are_not_watched_are_no_reason() -> None:
    thresholds = Thresholds(unwatched=frozenset({QueueName("exports"), QueueName("exports-dlq")}))
    both = [waiting("exports", 1, HOUR), waiting("exports-dlq", 1, HOUR)]
    assert judged(waiting=both, thresholds=thresholds).reasons == []


def test_dead_letters_are_a_reason_however_young_they_are() -> None:
    letters = [waiting("orders-fetched-dlq", 12, timedelta(0))]
    assert why(judged(done(completed=1), waiting=letters)) == [("orders-fetched-dlq", "12 dead letters")]
    assert judged(waiting=letters, thresholds=Thresholds(dead_letters=12)).reasons == []


def test_an_outbox_that_nobody_empties_is_a_reason() -> None:
    effects = Waiting(count=50, since=NOW - timedelta(minutes=10))
    assert why(judged(effects=effects)) == [("outbox", "50 rows not sent for 10 min")]
    assert judged(effects=Waiting(count=50, since=NOW - timedelta(minutes=5))).reasons == []


def test_too_many_dead_letters_among_those_that_ended_are_a_reason_and_a_few_are_not() -> None:
    failures = tuple(FailureCount(fingerprint=name, code="E", count=1) for name in ("3f2a", "77aa", "88bb"))
    assert why(judged(done(completed=98, dead=2, failures=failures))) == [
        (
            "route-orders",
            "2 of 100 messages were dead-lettered in the last 60 min (error E, 3f2a and 2 others)",
        )
    ]
    assert judged(done(completed=99, dead=1)).health is Health.HEALTHY


def test_most_attempts_that_fail_are_a_reason_even_if_the_messages_are_completed_in_the_end() -> None:
    assert why(judged(done(completed=10, failed_attempts=11))) == [
        ("route-orders", "11 of 21 attempts failed in the last 60 min")
    ]
    assert judged(done(completed=10, failed_attempts=10)).health is Health.HEALTHY


def test_an_error_that_has_come_back_is_a_reason_and_others_are_not() -> None:
    said = why(judged(done(completed=1), errors=[group(GroupState.REGRESSED), group(GroupState.OPEN)]))
    assert said == [("route-orders", "error ConnectError, 3f2a, was resolved and has come back")]
    assert judged(errors=[group(GroupState.REGRESSED, 2 * HOUR)]).health is Health.IDLE


@pytest.mark.parametrize(
    "wrong",
    [
        {"success_rate": 1.1},
        {"failed_attempts": -0.1},
        {"oldest_waiting": timedelta(seconds=-1)},
        {"oldest_effect": timedelta(seconds=-1)},
        {"dead_letters": -1},
    ],
)
def test_thresholds_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Thresholds(**wrong)


def test_a_reason_names_its_place() -> None:
    assert judged(done(dead=1)).reasons == [
        Reason(where="route-orders", text="1 of 1 messages failed in the last 60 min")
    ]
