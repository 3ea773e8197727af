"""Statistics from the journal and the error log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Row, Select, Subquery, func, or_, select
from typing_extensions import override

from api_exchange_core.adapters.sql.report_scope import reading
from api_exchange_core.adapters.sql.schema import errors, journal
from api_exchange_core.domain.names import FunctionName, TenantId
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.statistics import (
    FailureCount,
    FunctionStatistics,
    Percentiles,
    Statistics,
    StatisticsSource,
)

_COMPLETED: Final = ProcessingState.COMPLETED.value
_PERCENTS: Final = (50, 95, 99)
_ByFunction = Mapping[FunctionName, Percentiles]


@dataclass(frozen=True, slots=True)
class SqlStatisticsSource(StatisticsSource):
    """Counts in the database, over the newest rows of the window.

    Args:
        engine: of the database.
    """

    engine: Engine

    @override
    def of_window(
        self, *, since: datetime, until: datetime, tenant_id: TenantId | None = None, most: int
    ) -> Statistics:
        with reading(self.engine, tenant_id) as connection:
            begins = max(
                _where_it_begins(connection, column, tenant_id, since=since, most=most)
                for column in (journal.c.finished_at, errors.c.occurred_at)
            )
            states = _states(connection, begins, tenant_id)
            took = _percentiles(connection, journal.c.took, journal.c.state == _COMPLETED, begins, tenant_id)
            waited = _percentiles(connection, journal.c.waited, journal.c.attempts == 1, begins, tenant_id)
            failures, deferred = _failures(connection, begins, tenant_id)
        names = sorted({*states, *failures, *deferred})
        functions = [
            FunctionStatistics(
                function=name,
                completed=states[name][_COMPLETED],
                dead=states[name][ProcessingState.DEAD.value],
                retrying=states[name][ProcessingState.RETRYING.value],
                failed_attempts=sum(one.count for one in failures[name]),
                deferred=deferred[name],
                took=took.get(name),
                waited=waited.get(name),
                failures=tuple(failures[name]),
            )
            for name in names
        ]
        return Statistics(since=begins, until=until, functions=functions)


def _where_it_begins(
    connection: Connection, column: Column[Any], tenant_id: TenantId | None, *, since: datetime, most: int
) -> datetime:
    """The time from which on there are no more than *most* rows, if that is later than *since*."""
    first_left_out = (
        _within(select(column), column, since, tenant_id).order_by(column.desc()).offset(most).limit(1)
    )
    left_out: datetime | None = connection.execute(first_left_out).scalar_one_or_none()
    return since if left_out is None else left_out + timedelta.resolution


def _within(
    asked: Select[Any], column: Column[Any], since: datetime, tenant_id: TenantId | None
) -> Select[Any]:
    asked = asked.where(column >= since)
    return asked if tenant_id is None else asked.where(column.table.c.tenant_id == tenant_id)


def _states(
    connection: Connection, since: datetime, tenant_id: TenantId | None
) -> defaultdict[FunctionName, Counter[str]]:
    counted = _within(
        select(journal.c.function, journal.c.state, func.count().label("number")),
        journal.c.finished_at,
        since,
        tenant_id,
    ).group_by(journal.c.function, journal.c.state)
    states: defaultdict[FunctionName, Counter[str]] = defaultdict(Counter)
    for row in connection.execute(counted):
        states[row.function][row.state] = row.number
    return states


def _percentiles(
    connection: Connection, length: Column[Any], counts: Any, since: datetime, tenant_id: TenantId | None
) -> _ByFunction:
    ranked = (
        _within(
            select(
                journal.c.function,
                length.label("length"),
                func.row_number().over(partition_by=journal.c.function, order_by=length).label("place"),
                func.count().over(partition_by=journal.c.function).label("of"),
            ),
            journal.c.finished_at,
            since,
            tenant_id,
        )
        .where(length.is_not(None), counts)
        .subquery()
    )
    ranks = [_rank(ranked, percent) for percent in _PERCENTS]
    chosen = select(ranked).where(or_(*(ranked.c.place == rank for rank in ranks)))
    found: defaultdict[FunctionName, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(chosen):
        found[row.function].append(row)
    return {
        name: Percentiles(p50=_at(rows, 50), p95=_at(rows, 95), p99=_at(rows, 99))
        for name, rows in found.items()
    }


def _rank(ranked: Subquery, percent: int) -> Any:
    """The nearest rank: the least place that so many of a hundred do not exceed."""
    return (ranked.c.of * percent + 99) // 100


def _at(rows: Sequence[Row[Any]], percent: int) -> timedelta:
    length: timedelta = next(row.length for row in rows if row.place == (row.of * percent + 99) // 100)
    return length


def _failures(
    connection: Connection, since: datetime, tenant_id: TenantId | None
) -> tuple[defaultdict[FunctionName, list[FailureCount]], Counter[FunctionName]]:
    kind = (errors.c.function, errors.c.fingerprint, errors.c.code)
    counted = (
        _within(
            select(*kind, func.count().label("number"), func.count(errors.c.defer).label("deferred")),
            errors.c.occurred_at,
            since,
            tenant_id,
        )
        .group_by(*kind)
        .order_by(func.count().desc(), errors.c.fingerprint)
    )
    failures: defaultdict[FunctionName, list[FailureCount]] = defaultdict(list)
    deferred: Counter[FunctionName] = Counter()
    for row in connection.execute(counted):
        deferred[row.function] += row.deferred
        if row.number > row.deferred:
            failures[row.function].append(
                FailureCount(fingerprint=row.fingerprint, code=row.code, count=row.number - row.deferred)
            )
    return failures, deferred
