"""Metrics of what waits: the store is asked each time that somebody collects them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from opentelemetry import metrics as otel
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from api_exchange_core.adapters.telemetry import conventions as names
from api_exchange_core.adapters.telemetry.tracing import SCOPE
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import QueueName
from api_exchange_core.ports.backlog import Backlog
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.queue_inspector import QueueInspector


@dataclass(frozen=True, slots=True)
class StoreMetrics:
    """Gauges of queues and outbox. What the store does not tell, since it is out of reach, is left out.

    Args:
        queues: counts messages.
        backlog: knows which of them could be worked on, and since when.
        outbox: counts effects.
        clock: tells the time.
        of: the queues to tell of. Others may be called after a tenant.
    """

    queues: QueueInspector
    backlog: Backlog
    outbox: OutboxRelaySource
    clock: Clock
    of: Collection[QueueName]

    def register(self, meter: Meter | None = None) -> None:
        """Have *meter* ask, or the process's own. Once a process: instruments stay for its life."""
        meter = otel.get_meter(SCOPE) if meter is None else meter
        meter.create_observable_gauge(
            names.QUEUE_DEPTH,
            [self._depths],
            unit="{message}",
            description="Messages in a queue, invisible and delayed ones included.",
        )
        meter.create_observable_gauge(
            names.QUEUE_OLDEST,
            [self._oldest],
            unit="s",
            description="How long the message that has waited longest could have been worked on; 0 if none waits.",
        )
        meter.create_observable_gauge(
            names.OUTBOX_PENDING,
            [self._pending],
            unit="{effect}",
            description="Effects committed and not yet carried out.",
        )
        meter.create_observable_gauge(
            names.OUTBOX_STUCK,
            [self._stuck],
            unit="{effect}",
            description="Those of them that could not be carried out and were put off.",
        )
        meter.create_observable_gauge(
            names.OUTBOX_LAG,
            [self._lag],
            unit="s",
            description="How long the oldest effect is overdue that was never put off; 0 if none is.",
        )

    def _depths(self, _: CallbackOptions) -> Iterator[Observation]:
        with suppress(TransientError):
            yield from self._by_queue(self.queues.depths())

    def _oldest(self, _: CallbackOptions) -> Iterator[Observation]:
        now = self.clock.now()
        with suppress(TransientError):
            waiting = {one.queue: one.since for one in self.backlog.messages(now=now)}
            told = {queue: _seconds(since, now) for queue, since in waiting.items() if since is not None}
            if len(told) == len(waiting):  # else 0 would be told of queues whose transport does not know
                yield from self._by_queue(told)

    def _by_queue(self, found: Mapping[QueueName, float]) -> Iterator[Observation]:
        return (Observation(found.get(queue, 0), {names.DESTINATION: queue}) for queue in self.of)

    def _pending(self, _: CallbackOptions) -> Iterator[Observation]:
        with suppress(TransientError):
            yield Observation(self.outbox.pending())

    def _stuck(self, _: CallbackOptions) -> Iterator[Observation]:
        with suppress(TransientError):
            yield Observation(self.outbox.backlog(now=self.clock.now()).stuck)

    def _lag(self, _: CallbackOptions) -> Iterator[Observation]:
        with suppress(TransientError):
            lag = self.outbox.backlog(now=self.clock.now()).lag
            yield Observation(0.0 if lag is None else lag.total_seconds())


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())  # clocks of two machines differ
