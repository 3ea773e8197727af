"""Spans through the OpenTelemetry API.

Each message has a span of its own, and a trace of its own, *linked* to the span that made the message: a batch mixes
messages of many requests and tenants, and a message may be read days after it was sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from typing_extensions import override

from api_exchange_core.adapters.telemetry import conventions as names
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, QueueName
from api_exchange_core.domain.trace_context import TraceContext, trace_context
from api_exchange_core.ports.observer import Handled, MessageTrace, Outcome, PassedOn

SCOPE = "api_exchange"
"""Name of the instrumentation scope, for spans and metrics."""

_FAILED = (Outcome.RETRY, Outcome.DEAD_LETTERED)


@dataclass(frozen=True, slots=True)
class Tracing:
    """Makes the spans of messages.

    Args:
        tracer: of an OpenTelemetry SDK; else the process's own, and nothing as long as it has none.
        system: what carries the messages, such as ``aws_sqs`` and ``servicebus``.
    """

    tracer: otel.Tracer | None = None
    system: str = SCOPE

    def begun(
        self, message: Message, *, function: FunctionName, queue: QueueName, attempt: int
    ) -> MessageTrace:
        """The trace of a message whose processor is about to be called."""
        tracer = self._tracer()
        if tracer is None:
            return PassedOn(message.trace)
        attributes: dict[str, str | int] = {
            **self._place("process", queue),
            names.MESSAGE_ID: message.id,
            names.CONVERSATION_ID: message.correlation_id,
            names.FUNCTION: function,
            names.TENANT: message.tenant_id,
            names.ATTEMPT: attempt,
        }
        span = tracer.start_span(
            f"process {function}",
            context=Context(),  # a trace of its own
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=_links(message.trace),
        )
        return SpanOfMessage(span, carried=_context_of(span, message.trace))

    def ended(self, summary: Handled) -> None:
        """End the span of a message, or make one of no length for a message that was settled at the door."""
        if isinstance(summary.trace, SpanOfMessage):
            summary.trace.ended(summary)
        elif summary.trace is None and (tracer := self._tracer()) is not None:
            ids = {
                names.MESSAGE_ID: summary.message_id,
                names.CONVERSATION_ID: summary.correlation_id,
                names.TENANT: summary.tenant_id,
            }
            attributes: dict[str, str | int] = {
                **self._place("process", summary.queue),
                names.FUNCTION: summary.function,
                names.ATTEMPT: summary.attempt,
                **{name: value for name, value in ids.items() if value is not None},
            }
            span = tracer.start_span(
                f"process {summary.function}",
                context=Context(),
                kind=SpanKind.CONSUMER,
                attributes=attributes,
                links=_links(summary.trace_context),
            )
            SpanOfMessage(span, carried=None).ended(summary)

    def abandoned(self, trace: MessageTrace, reason: str) -> None:
        """End the span of a call that came to nothing that will be told."""
        if isinstance(trace, SpanOfMessage):
            trace.abandoned(reason)

    def batch(
        self, function: FunctionName, *, queue: QueueName, count: int
    ) -> AbstractContextManager[object]:
        """Around the handling of messages; their spans are linked to it."""
        tracer = self._tracer()
        if tracer is None:
            return nullcontext()
        return tracer.start_as_current_span(
            f"process batch {function}",
            kind=SpanKind.CONSUMER,
            attributes={
                **self._place("process", queue),
                names.FUNCTION: function,
                names.BATCH_COUNT: count,
            },
            record_exception=False,  # the text of an error may hold anything
            set_status_on_exception=False,
        )

    @contextmanager
    def sending(
        self, queue: QueueName, *, count: int, parent: TraceContext | None
    ) -> Iterator[TraceContext | None]:
        """Around sending the first messages of requests.

        The span's parent is the current span, such as that of an instrumented HTTP server, or else *parent*.
        """
        tracer = self._tracer()
        if tracer is None:
            yield parent
            return
        within: Context | None = None
        if parent is not None and not otel.get_current_span().get_span_context().is_valid:
            within = otel.set_span_in_context(otel.NonRecordingSpan(_span_context(parent)), Context())
        attributes: dict[str, str | int] = self._place("send", queue)
        if count > 1:
            attributes[names.BATCH_COUNT] = count
        with tracer.start_as_current_span(
            f"send {queue}",
            context=within,
            kind=SpanKind.PRODUCER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _context_of(span, parent)
            except Exception as error:
                _failed(span, type(error).__name__)
                raise

    def _place(self, operation: str, queue: str) -> dict[str, str | int]:
        return {
            names.SYSTEM: self.system,
            names.OPERATION_NAME: operation,
            names.OPERATION_TYPE: operation,
            names.DESTINATION: queue,
        }

    def _tracer(self) -> otel.Tracer | None:
        if self.tracer is not None:
            return self.tracer
        provider = otel.get_tracer_provider()
        return None if isinstance(provider, otel.ProxyTracerProvider) else provider.get_tracer(SCOPE)


class SpanOfMessage(MessageTrace):
    """The span of one message. It is as long as the processor ran, and ends when the outcome is known."""

    __slots__ = ("_carried", "_ran_until", "_span")

    def __init__(self, span: Span, *, carried: TraceContext | None) -> None:
        self._span = span
        self._carried = carried
        self._ran_until: int | None = None

    @property
    @override
    def context(self) -> TraceContext | None:
        return self._carried

    @override
    @contextmanager
    def running(self) -> Iterator[None]:
        with otel.use_span(self._span, record_exception=False, set_status_on_exception=False):
            try:
                yield
            finally:
                self._ran_until = time.time_ns()

    def abandoned(self, reason: str) -> None:
        """End it with the name of an error."""
        _failed(self._span, reason)
        self._span.end(self._ran_until)

    def ended(self, summary: Handled) -> None:
        """End it with what came of the message."""
        span = self._span
        if span.is_recording():
            span.set_attributes(
                {
                    names.OUTCOME: summary.outcome.value,
                    names.ENTITIES: summary.entities,
                    names.NEW_VERSIONS: summary.new_versions,
                    names.OUTPUTS: summary.outputs,
                }
            )
            if summary.problem is not None:
                span.set_attribute(names.ERROR_TYPE, names.error_type(summary.problem.code))
                span.set_attribute(names.FINGERPRINT, summary.problem.fingerprint)
            if summary.outcome in _FAILED:
                span.set_status(Status(StatusCode.ERROR))
        span.end(self._ran_until)


def _failed(span: Span, code: str) -> None:
    span.set_attribute(names.ERROR_TYPE, names.error_type(code))
    span.set_status(Status(StatusCode.ERROR))


def _links(made_in: TraceContext | None) -> list[Link]:
    """To the span that made the message, and to the one around this call: a batch's, or a platform's."""
    around = otel.get_current_span().get_span_context()
    links = [] if made_in is None else [Link(_span_context(made_in))]
    return [*links, Link(around)] if around.is_valid else links


def _span_context(made_in: TraceContext) -> SpanContext:
    state = None if made_in.tracestate is None else TraceState.from_header([made_in.tracestate])
    return SpanContext(
        trace_id=int(made_in.trace_id, 16),
        span_id=int(made_in.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(made_in.flags, 16)),
        trace_state=state,
    )


def _context_of(span: Span, otherwise: TraceContext | None) -> TraceContext | None:
    context = span.get_span_context()
    if not context.is_valid:
        return otherwise
    state = context.trace_state.to_header() if context.trace_state else None
    ids = f"{otel.format_trace_id(context.trace_id)}-{otel.format_span_id(context.span_id)}"
    return trace_context(f"00-{ids}-{context.trace_flags:02x}", state)
