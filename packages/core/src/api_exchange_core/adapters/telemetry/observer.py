"""What is told of messages, as lines of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars
from structlog.typing import FilteringBoundLogger
from typing_extensions import override

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.observer import Handled, Outcome, WithoutTraces

_QUIET = (Outcome.COMPLETED, Outcome.DUPLICATE, Outcome.GIVEN_BACK, Outcome.DROPPED)
# What nobody has to look at. Any other event is a warning, one whose name is new above all.
_QUIET_EVENTS = frozenset({"chore.done", "request.unproven", "token.waited"})
_WORTH_A_LINE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class StructlogObserver(WithoutTraces):
    """One summary line a message; ids are bound to every line that is logged while the message is processed.

    Of a problem the line has class and fingerprint, by which the error log is searched; the reason stays there, since
    the text of somebody else's error may hold payload.
    """

    log: FilteringBoundLogger = field(default_factory=lambda: structlog.get_logger("api_exchange"))

    @override
    @contextmanager
    def bound(self, **ids: str | int | None) -> Iterator[None]:
        # structlog's own bound_contextvars does the same, and looks through all context variables to do so.
        tokens = bind_contextvars(**{name: value for name, value in ids.items() if value is not None})
        try:
            yield
        finally:
            reset_contextvars(**tokens)

    @override
    def handled(self, summary: Handled) -> None:
        facts = {
            "outcome": summary.outcome.value,
            "function": summary.function,
            "queue": summary.queue,
            "tenant_id": summary.tenant_id,
            "message_id": summary.message_id,
            "correlation_id": summary.correlation_id,
            "causation_id": summary.causation_id,
            "operation": summary.operation,
            "attempt": summary.attempt,
            "waited_ms": _ms(summary.waited),
            "duration_ms": _ms(summary.duration),
            "commit_ms": _ms(summary.commit),
            "entities": summary.entities,
            "new_versions": summary.new_versions,
            "outputs": summary.outputs,
            "trace_id": None if summary.trace_context is None else summary.trace_context.trace_id,
        }
        if summary.quick_retries:
            facts["quick_retries"] = summary.quick_retries
        problem = summary.problem
        if problem is not None:
            facts |= {"error": problem.code, "fingerprint": problem.fingerprint}
        tell = self.log.info if summary.outcome in _QUIET else self.log.warning
        _tell(tell, "message.handled", facts)

    @override
    def event(self, name: str, **facts: str | float | None) -> None:
        tell = self.log.info if name in _QUIET_EVENTS else self.log.warning
        _tell(tell, name, facts)

    @override
    def token_waited(self, tenant_id: TenantId, *, api: str, waited: timedelta) -> None:
        if waited >= _WORTH_A_LINE:
            self.event("token.waited", tenant_id=tenant_id, api=api, seconds=waited.total_seconds())


def _ms(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds() * 1000, 3)


def _tell(tell: Callable[..., object], name: str, facts: Mapping[str, object]) -> None:
    # A line that cannot be written (standard error is a pipe that nobody reads any more) is lost: there is nowhere
    # left to tell of it, and the work that it tells of is done.
    with suppress(Exception):
        tell(name, **{fact: value for fact, value in facts.items() if value is not None})
