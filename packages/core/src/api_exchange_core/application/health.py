"""Healthy or not, and why: a judgement of numbers, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.backlog import Waiting, WaitingMessages
from api_exchange_core.ports.error_groups import ErrorGroup, GroupState
from api_exchange_core.ports.statistics import FunctionStatistics, Statistics


class Health(StrEnum):
    """The state of an exchange."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    IDLE = "idle"  # nothing was done and nothing waits, so that nothing is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What is still healthy.

    Args:
        success_rate: the least share of completed messages among those that came to their end, from 0 to 1.
        failed_attempts: the largest share of failed attempts among all attempts, from 0 to 1.
        oldest_waiting: the longest that a message may have been due without anybody working on it.
        oldest_effect: the longest that the relay may leave a committed effect that is due.
        dead_letters: the most that a dead-letter queue may hold.
        unwatched: queues that are not judged, such as those that others empty in their own time.

    Raises:
        ValueError: a share is not from 0 to 1, or one of the others is negative.
    """

    success_rate: float = 0.99
    failed_attempts: float = 0.5
    oldest_waiting: timedelta = timedelta(minutes=15)
    oldest_effect: timedelta = timedelta(minutes=5)
    dead_letters: int = 0
    unwatched: Collection[QueueName] = ()

    def __post_init__(self) -> None:
        for name in ("success_rate", "failed_attempts"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)!r}")
        if min(self.oldest_waiting, self.oldest_effect) < timedelta(0) or self.dead_letters < 0:
            raise ValueError("oldest_waiting, oldest_effect and dead_letters are not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is not healthy.

    Args:
        where: a function's or a queue's name, or ``outbox``.
        text: what is wrong there, in words.
    """

    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Healthy or not, and why not."""

    health: Health
    reasons: Sequence[Reason]


def judge(
    statistics: Statistics,
    *,
    waiting: Sequence[WaitingMessages],
    effects: Waiting | None,
    errors: Sequence[ErrorGroup],
    thresholds: Thresholds,
) -> Judgement:
    """The judgement of what was done, what waits, and which errors are not resolved.

    A function of which no attempt has succeeded is never healthy, however the thresholds are set.
    """
    now = statistics.until
    reasons = [
        *(
            Reason(where=one.function, text=text)
            for one in statistics.functions
            for text in _of_function(one, statistics, thresholds)
        ),
        *_of_queues(waiting, now, thresholds),
        *_of_outbox(effects, now, thresholds),
        *_regressed(errors, statistics.since),
    ]
    if reasons:
        return Judgement(health=Health.UNHEALTHY, reasons=reasons)
    done = sum(one.ended + one.retrying + one.failed_attempts for one in statistics.functions)
    return Judgement(health=Health.HEALTHY if done else Health.IDLE, reasons=[])


def _of_function(one: FunctionStatistics, statistics: Statistics, thresholds: Thresholds) -> Iterator[str]:
    within = f"in the last {_told(statistics.until - statistics.since)}{_most_frequent(one)}"
    failed = max(one.failed_attempts, one.dead + one.retrying)
    attempts = one.completed + failed
    if one.completed == 0 and one.ended + one.retrying > 0:
        messages = one.dead + one.retrying
        retrying = f", {one.retrying:,} of them to be tried again" if one.retrying else ""
        yield f"{messages:,} of {messages:,} messages failed{retrying} {within}"
    elif one.completed == 0 and failed > 0:
        yield f"{failed:,} of {failed:,} attempts failed {within}"
    elif one.success_rate is not None and one.success_rate < thresholds.success_rate:
        yield f"{one.dead:,} of {one.ended:,} messages were dead-lettered {within}"
    elif attempts > 0 and failed / attempts > thresholds.failed_attempts:
        yield f"{failed:,} of {attempts:,} attempts failed {within}"


def _most_frequent(one: FunctionStatistics) -> str:
    if not one.failures:
        return ""
    first, *others = one.failures
    more = f" and {len(others)} other{'s' if len(others) > 1 else ''}" if others else ""
    return f" (error {first.code}, {first.fingerprint}{more})"


def _of_queues(waiting: Sequence[WaitingMessages], now: datetime, thresholds: Thresholds) -> Iterator[Reason]:
    for one in waiting:
        if one.queue in thresholds.unwatched:
            continue
        if one.are_dead_letters:
            if one.count > thresholds.dead_letters:
                yield Reason(where=one.queue, text=_counted(one.count, "dead letter"))
        elif one.since is not None and now - one.since > thresholds.oldest_waiting:
            yield Reason(
                where=one.queue,
                text=f"{_counted(one.count, 'message')} waiting, the oldest for {_told(now - one.since)}",
            )


def _of_outbox(effects: Waiting | None, now: datetime, thresholds: Thresholds) -> Iterator[Reason]:
    if effects is not None and now - effects.since > thresholds.oldest_effect:
        yield Reason(
            where="outbox", text=f"{_counted(effects.count, 'row')} not sent for {_told(now - effects.since)}"
        )


def _regressed(errors: Sequence[ErrorGroup], since: datetime) -> Iterator[Reason]:
    for group in errors:
        if group.state is GroupState.REGRESSED and group.last_seen >= since:
            yield Reason(
                where=group.function,
                text=f"error {group.code}, {group.fingerprint}, was resolved and has come back",
            )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _told(length: timedelta) -> str:
    """A length of time in the largest unit of which it has two, such as ``90 min``."""
    seconds = length.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
