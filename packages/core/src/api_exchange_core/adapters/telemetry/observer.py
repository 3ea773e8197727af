"""Structured logs through structlog."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from json import dumps

import orjson
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import FilteringBoundLogger, Processor
from typing_extensions import override

from api_exchange_core.ports.observer import Handled, Observer, Outcome

# structlog's own default shows the values of local variables, payloads and secrets among them.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
_QUIET = (Outcome.COMPLETED, Outcome.DUPLICATE, Outcome.GIVEN_BACK, Outcome.DROPPED)


def configure_logging(*, json: bool, level: str = "INFO") -> None:
    """Set up structlog for this process: one line an event, to standard error.

    Args:
        json: JSON lines for machines; otherwise columns for people, coloured on a terminal.
        level: DEBUG, INFO, WARNING or ERROR.
    """
    shared: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer(serializer=_dumps)]
        if json
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                sort_keys=False,
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


@dataclass(frozen=True, slots=True)
class StructlogObserver(Observer):
    """One summary line a message; ids are bound to every line that is logged while the message is processed.

    Of a problem the line has class and fingerprint, by which the error log is searched; the reason stays there, since
    the text of somebody else's error may hold payload.
    """

    log: FilteringBoundLogger = field(default_factory=lambda: structlog.get_logger("api_exchange"))

    @override
    def bound(self, **ids: str | int | None) -> AbstractContextManager[None]:
        return bound_contextvars(**{name: value for name, value in ids.items() if value is not None})

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
            "duration_ms": round(summary.duration.total_seconds() * 1000, 3),
            "entities": summary.entities,
            "new_versions": summary.new_versions,
            "outputs": summary.outputs,
        }
        problem = summary.problem
        if problem is not None:
            facts |= {"error": problem.code, "fingerprint": problem.fingerprint}
        tell = self.log.info if summary.outcome in _QUIET else self.log.warning
        _tell(tell, "message.handled", facts)

    @override
    def event(self, name: str, **facts: str | float | None) -> None:
        _tell(self.log.warning, name, facts)


def _tell(tell: Callable[..., object], name: str, facts: Mapping[str, object]) -> None:
    # A line that cannot be written (standard error is a pipe that nobody reads any more) is lost: there is nowhere
    # left to tell of it, and the work that it tells of is done.
    with suppress(Exception):
        tell(name, **{fact: value for fact, value in facts.items() if value is not None})


def _dumps(event: dict[str, object], **_: object) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # lone surrogates and integers beyond 64 bits
        return dumps(event, default=str)
