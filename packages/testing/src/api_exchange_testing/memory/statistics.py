"""Statistics of an `InMemoryStore`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from typing_extensions import override

from api_exchange_core.domain.names import FunctionName, TenantId
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.statistics import (
    FailureCount,
    FunctionStatistics,
    Percentiles,
    Statistics,
    StatisticsSource,
)
from api_exchange_testing.memory.unit_of_work import InMemoryStore


class InMemoryStatisticsSource(StatisticsSource):
    """Counts the committed entries.

    Args:
        store: whose.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    def of_window(
        self, *, since: datetime, until: datetime, tenant_id: TenantId | None = None, most: int
    ) -> Statistics:
        with self._store.changed:
            rows = self._store.by_tenant(tenant_id).values()
            entries = [entry for own in rows for entry in own.journal.values()]
            errors = [error for own in rows for error in own.errors]
        begins = max(
            _begin([entry.finished_at for entry in entries], since, most),
            _begin([error.occurred_at for error in errors], since, most),
        )
        entries = [entry for entry in entries if entry.finished_at >= begins]
        errors = [error for error in errors if error.occurred_at >= begins]
        names = sorted({one.function for one in entries} | {one.function for one in errors})
        functions = [
            _function(
                name,
                [entry for entry in entries if entry.function == name],
                [error for error in errors if error.function == name],
            )
            for name in names
        ]
        return Statistics(since=begins, until=until, functions=functions)


def _begin(times: Sequence[datetime], since: datetime, most: int) -> datetime:
    newest_first = sorted((at for at in times if at >= since), reverse=True)
    return since if len(newest_first) <= most else newest_first[most] + timedelta.resolution


def _function(
    name: FunctionName, entries: Sequence[JournalEntry], errors: Sequence[ErrorEntry]
) -> FunctionStatistics:
    states = Counter(entry.state for entry in entries)
    failed = [error.problem for error in errors if error.problem.defer is None]
    counts = Counter((problem.fingerprint, problem.code) for problem in failed)
    failures = [
        FailureCount(fingerprint=fingerprint, code=code, count=count)
        for (fingerprint, code), count in counts.items()
    ]
    return FunctionStatistics(
        function=name,
        completed=states[ProcessingState.COMPLETED],
        dead=states[ProcessingState.DEAD],
        retrying=states[ProcessingState.RETRYING],
        failed_attempts=len(failed),
        deferred=len(errors) - len(failed),
        took=_percentiles(entry.took for entry in entries if entry.state is ProcessingState.COMPLETED),
        waited=_percentiles(entry.waited for entry in entries if entry.attempts == 1),
        failures=tuple(sorted(failures, key=lambda one: (-one.count, one.fingerprint))),
    )


def _percentiles(lengths: Iterable[timedelta | None]) -> Percentiles | None:
    known = sorted(length for length in lengths if length is not None)
    if not known:
        return None
    p50, p95, p99 = (known[math.ceil(len(known) * percent / 100) - 1] for percent in (50, 95, 99))
    return Percentiles(p50=p50, p95=p95, p99=p99)
