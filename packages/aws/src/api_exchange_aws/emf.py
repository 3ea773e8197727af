"""Metrics for CloudWatch, written into the logs.

"Specification: Embedded metric format", Amazon CloudWatch user guide: CloudWatch makes metrics of a JSON line in the
logs of a function, so that none is sent while messages wait for it.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, QueueName, TenantId
from api_exchange_core.domain.trace_context import TraceContext
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Handled, MessageTrace, Observer, Outcome

_MOST_VALUES: Final = 100
"""Of one metric in one line."""


def to_standard_output(line: str) -> None:
    """Write a line where Lambda finds it."""
    print(line, flush=True)  # noqa: T201 - the log of a function is its output


@dataclass(slots=True)
class _Tally:
    """What was told of one function since the last line about it."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    durations: list[float] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class EmfObserver(Observer):
    """Tells another observer, and counts: of each function the messages by outcome, and how long they took.

    Args:
        others: hears everything.
        namespace: of the metrics in CloudWatch.
        exchange: the name of the application, the first dimension of each metric; the function is the second.
        clock: tells when a line is written.
        write: takes each line.
    """

    others: Observer
    namespace: str
    exchange: str
    clock: Clock
    write: Callable[[str], None] = to_standard_output
    _tallies: dict[str, _Tally] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @override
    def bound(self, **ids: str | int | None) -> AbstractContextManager[None]:
        return self.others.bound(**ids)

    @override
    def handled(self, summary: Handled) -> None:
        self.others.handled(summary)
        with self._lock:
            tally = self._tallies.setdefault(summary.function, _Tally())
            tally.outcomes[summary.outcome] += 1
            tally.durations.append(summary.duration.total_seconds() * 1000)
            is_full = len(tally.durations) == _MOST_VALUES
        if is_full:
            self.flush()

    @override
    def token_waited(self, tenant_id: TenantId, *, api: str, waited: timedelta) -> None:
        self.others.token_waited(tenant_id, api=api, waited=waited)

    @override
    def event(self, name: str, **facts: str | float | None) -> None:
        self.others.event(name, **facts)

    @override
    def trace(
        self, message: Message, *, function: FunctionName, queue: QueueName, attempt: int
    ) -> MessageTrace:
        return self.others.trace(message, function=function, queue=queue, attempt=attempt)

    @override
    def abandoned(self, trace: MessageTrace, reason: str) -> None:
        self.others.abandoned(trace, reason)

    @override
    def batch(
        self, function: FunctionName, *, queue: QueueName, count: int
    ) -> AbstractContextManager[object]:
        return self.others.batch(function, queue=queue, count=count)

    @override
    def sending(
        self, queue: QueueName, *, count: int = 1, parent: TraceContext | None = None
    ) -> AbstractContextManager[TraceContext | None]:
        return self.others.sending(queue, count=count, parent=parent)

    def flush(self) -> None:
        """Write what was counted, a line a function."""
        with self._lock:
            tallies, self._tallies = self._tallies, {}
        for function, tally in tallies.items():
            self.write(json.dumps(self._line(function, tally), separators=(",", ":")))

    def _line(self, function: str, tally: _Tally) -> dict[str, object]:
        counts = {f"messages.{outcome}": count for outcome, count in sorted(tally.outcomes.items())}
        metrics = [{"Name": name, "Unit": "Count"} for name in counts]
        metrics.append({"Name": "duration", "Unit": "Milliseconds"})
        directive = {
            "Namespace": self.namespace,
            "Dimensions": [["exchange", "function"]],
            "Metrics": metrics,
        }
        return {
            "_aws": {
                "Timestamp": int(self.clock.now().timestamp() * 1000),
                "CloudWatchMetrics": [directive],
            },
            "exchange": self.exchange,
            "function": function,
            **counts,
            "duration": tally.durations,
        }
