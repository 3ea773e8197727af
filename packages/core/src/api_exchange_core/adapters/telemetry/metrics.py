"""Metrics through the OpenTelemetry API.

They are counted in memory and read when somebody collects them: no metric costs a call over a network, and where no
SDK is set up they cost next to nothing. None has the tenant as attribute, since each tenant would multiply the number
of series; what one tenant does is in the logs, the spans and the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

from opentelemetry import metrics as otel
from opentelemetry.metrics import Meter

from api_exchange_core.adapters.telemetry import conventions as names
from api_exchange_core.adapters.telemetry.tracing import SCOPE
from api_exchange_core.ports.observer import Handled, Outcome

# In seconds, of processors and of waits for tokens: what semantic conventions advise, and up to a function's longest
# run.
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_AGES = (0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600)
_CALLED = (Outcome.COMPLETED, Outcome.RETRY, Outcome.DEAD_LETTERED, Outcome.DEFERRED)


class Metrics:
    """Counts what is told of messages.

    Args:
        meter: of an OpenTelemetry SDK; else the process's own.
        system: what carries the messages, such as ``aws_sqs`` and ``servicebus``.
    """

    def __init__(self, meter: Meter | None = None, *, system: str = SCOPE) -> None:
        self.meter = otel.get_meter(SCOPE) if meter is None else meter
        self._duration = self.meter.create_histogram(
            names.PROCESS_DURATION,
            unit="s",
            description="How long processors ran.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self._consumed = self.meter.create_counter(
            names.CONSUMED, unit="{message}", description="Messages handled, by outcome."
        )
        self._age = self.meter.create_histogram(
            names.QUEUE_AGE,
            unit="s",
            description="From being sent to the call of the processor.",
            explicit_bucket_boundaries_advisory=_AGES,
        )
        self._sent = self.meter.create_counter(
            names.SENT, unit="{message}", description="Outputs committed to be sent."
        )
        self._quick_retries = self.meter.create_counter(
            names.QUICK_RETRIES, unit="{call}", description="Further calls of processors within an attempt."
        )
        self._versions = self.meter.create_counter(
            names.VERSIONS, unit="{version}", description="Versions of entities made."
        )
        self._token_waits = self.meter.create_histogram(
            names.WAIT_FOR_TOKEN,
            unit="s",
            description="How long calls that had no token waited for one.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self._events = self.meter.create_counter(
            names.EVENTS, unit="{event}", description="Events in the logs that are no message, by name."
        )
        self._attributes = lru_cache(maxsize=2048)(_attributes_of(system))

    def handled(self, summary: Handled) -> None:
        """Count a message."""
        code = None if summary.problem is None else names.error_type(summary.problem.code)
        attributes = self._attributes(summary.function, summary.queue, summary.outcome, code)
        self._consumed.add(1, attributes)
        if summary.trace is not None and summary.outcome in _CALLED:
            self._duration.record(summary.duration.total_seconds(), attributes)
        if summary.waited is not None:
            place = self._attributes(summary.function, summary.queue, None, None)
            self._age.record(summary.waited.total_seconds(), place)
        if summary.quick_retries:
            place = self._attributes(summary.function, summary.queue, None, None)
            self._quick_retries.add(summary.quick_retries, place)
        if summary.outputs or summary.new_versions:
            place = self._attributes(summary.function, None, None, None)
            self._sent.add(summary.outputs, {**place, names.OPERATION_NAME: "send"})
            self._versions.add(summary.new_versions, place)

    def event(self, name: str) -> None:
        """Count an event."""
        self._events.add(1, {names.EVENT: name})

    def token_waited(self, api: str, waited: timedelta) -> None:
        """Record how long a call waited for a token."""
        self._token_waits.record(waited.total_seconds(), {names.API: api})


def _attributes_of(system: str) -> Callable[[str, str | None, Outcome | None, str | None], dict[str, str]]:
    def attributes(
        function: str, queue: str | None, outcome: Outcome | None, code: str | None
    ) -> dict[str, str]:
        told = {names.SYSTEM: system, names.FUNCTION: function}
        if queue is not None:
            told[names.DESTINATION] = queue
        if outcome is not None:
            told |= {names.OPERATION_NAME: "process", names.OUTCOME: outcome.value}
        if code is not None:
            told[names.ERROR_TYPE] = code
        return told

    return attributes
