"""The state of an exchange on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from api_exchange_core.application.health import Health
from api_exchange_core.application.status_report import Status
from api_exchange_core.cli.error_table import error_columns
from api_exchange_core.cli.show import Column, moment, span, table
from api_exchange_core.cli.states import state
from api_exchange_core.ports.backlog import WaitingMessages
from api_exchange_core.ports.statistics import FunctionStatistics, Percentiles, Statistics

_ERRORS_SHOWN = 5


def status_view(status: Status) -> RenderableType:
    """What people see of *status*: the judgement first, then what it rests on."""
    return Group(*_parts(status))


def _parts(status: Status) -> Iterator[RenderableType]:
    statistics = status.statistics
    window = f"{moment(statistics.since)} to {moment(statistics.until)} UTC"
    lasted = span(statistics.until - statistics.since)
    yield Text.assemble(state(status.judgement.health), (f"  {window} ({lasted})", "dim"))
    if status.judgement.health is Health.IDLE:
        yield Text("nothing was handled and nothing waits: this says nothing about what would happen")
    for reason in status.judgement.reasons:
        yield Text.assemble("  ", ("✗ ", "red"), (reason.where, "bold"), f": {reason.text}")
    if statistics.functions:
        yield Text()
        yield table(statistics.functions, _function_columns(statistics))
    if status.waiting:
        yield Text()
        yield table(status.waiting, _queue_columns(statistics))
    if status.effects is not None:
        waited = span(statistics.until - status.effects.since)
        yield Text(f"\noutbox: {status.effects.count:,} not sent, the oldest for {waited}")
    if status.errors:
        yield Text()
        yield table(status.errors[:_ERRORS_SHOWN], error_columns())
        if len(status.errors) > _ERRORS_SHOWN:
            yield Text("more errors: api-exchange errors list", style="dim")


def _function_columns(statistics: Statistics) -> list[Column[FunctionStatistics]]:
    return [
        Column("function", lambda one: Text(one.function, style="bold"), whole=True),
        Column("completed", lambda one: f"{one.completed:,}", right=True, whole=True),
        Column("a second", lambda one: _rate(statistics.per_second(one.completed)), right=True, spare=True),
        Column("success", _success, right=True, whole=True),
        Column("dead", lambda one: _alarming(one.dead, "bold red"), right=True),
        Column("retrying", lambda one: _alarming(one.retrying, "yellow"), right=True),
        Column(
            "failed attempts", lambda one: _alarming(one.failed_attempts, "yellow"), right=True, spare=True
        ),
        Column("put off", lambda one: f"{one.deferred:,}", right=True, spare=True),
        Column("took 50/95/99 %", lambda one: _percentiles(one.took), right=True),
        Column("waited 50/95/99 %", lambda one: _percentiles(one.waited), right=True),
    ]


def _queue_columns(statistics: Statistics) -> list[Column[WaitingMessages]]:
    return [
        Column("queue", lambda one: Text(one.queue, style="bold"), whole=True),
        Column("waiting", _waiting, right=True),
        Column("oldest", lambda one: _oldest(one, statistics.until), right=True),
    ]


def _success(one: FunctionStatistics) -> Text:
    rate = one.success_rate
    if rate is None:
        return Text("-")
    # 99.97 % is not 100 %: only what has no failure at all is called whole.
    return Text("100 %", style="green") if rate == 1 else Text(f"{int(rate * 1000) / 10:.1f} %", style="red")


def _waiting(one: WaitingMessages) -> Text:
    return _alarming(one.count, "bold red") if one.are_dead_letters else Text(f"{one.count:,}")


def _oldest(one: WaitingMessages, now: datetime) -> str:
    return "-" if one.since is None else span(now - one.since)


def _alarming(number: int, style: str) -> Text:
    return Text(f"{number:,}", style=style if number else "")


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def _percentiles(lengths: Percentiles | None) -> str:
    if lengths is None:
        return "-"
    each = (lengths.p50, lengths.p95, lengths.p99)
    return " / ".join(span(length) for length in each)
