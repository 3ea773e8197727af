"""Logs, metrics and spans of one event, together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from typing_extensions import override

from api_exchange_core.adapters.telemetry.metrics import Metrics
from api_exchange_core.adapters.telemetry.observer import StructlogObserver
from api_exchange_core.adapters.telemetry.tracing import Tracing
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, QueueName, TenantId
from api_exchange_core.domain.trace_context import TraceContext
from api_exchange_core.ports.observer import Handled, MessageTrace, Observer, PassedOn

T = TypeVar("T")


@dataclass(slots=True)
class TelemetryObserver(Observer):
    """Logs through structlog, metrics and spans through OpenTelemetry.

    The work goes on whatever an SDK's processor, sampler or exporter does. The first error of a kind is logged.
    """

    logs: StructlogObserver = field(default_factory=StructlogObserver)
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = field(default_factory=Tracing)
    _failed: set[str] = field(default_factory=set)

    @override
    def bound(self, **ids: str | int | None) -> AbstractContextManager[None]:
        return self.logs.bound(**ids)

    @override
    def handled(self, summary: Handled) -> None:
        self.logs.handled(summary)
        try:
            self.tracing.ended(summary)
        except Exception as error:  # noqa: BLE001 - an observer never fails the work it watches
            self._tell(error)
        try:
            self.metrics.handled(summary)
        except Exception as error:  # noqa: BLE001 - an observer never fails the work it watches
            self._tell(error)

    @override
    def event(self, name: str, **facts: str | float | None) -> None:
        self.logs.event(name, **facts)
        try:
            self.metrics.event(name)
        except Exception as error:  # noqa: BLE001 - an observer never fails the work it watches
            self._tell(error)

    @override
    def token_waited(self, tenant_id: TenantId, *, api: str, waited: timedelta) -> None:
        self.logs.token_waited(tenant_id, api=api, waited=waited)
        try:
            self.metrics.token_waited(api, waited)
        except Exception as error:  # noqa: BLE001 - an observer never fails the work it watches
            self._tell(error)

    @override
    def trace(
        self, message: Message, *, function: FunctionName, queue: QueueName, attempt: int
    ) -> MessageTrace:
        try:
            return self.tracing.begun(message, function=function, queue=queue, attempt=attempt)
        except Exception as error:  # noqa: BLE001 - an observer never fails the work it watches
            self._tell(error)
            return PassedOn(message.trace)

    @override
    def abandoned(self, trace: MessageTrace, reason: str) -> None:
        try:
            self.tracing.abandoned(trace, reason)
        except Exception as error:  # noqa: BLE001 - an observer never fails the work it watches
            self._tell(error)

    @override
    def batch(
        self, function: FunctionName, *, queue: QueueName, count: int
    ) -> AbstractContextManager[object]:
        if count == 1:  # it has a span of its own, and that is all there is to tell
            return nullcontext()
        return self._around(lambda: self.tracing.batch(function, queue=queue, count=count), otherwise=None)

    @override
    def sending(
        self, queue: QueueName, *, count: int = 1, parent: TraceContext | None = None
    ) -> AbstractContextManager[TraceContext | None]:
        return self._around(lambda: self.tracing.sending(queue, count=count, parent=parent), otherwise=parent)

    @contextmanager
    def _around(self, begin: Callable[[], AbstractContextManager[T]], *, otherwise: T) -> Iterator[T]:
        """Around work whose own errors pass through, and no others."""
        stack = ExitStack()
        value = otherwise
        try:
            value = stack.enter_context(begin())
        except Exception as error:  # noqa: BLE001 - an observer never fails the work it watches
            self._tell(error)
        try:
            yield value
        except BaseException as error:
            self._leave(stack, error)
            raise
        self._leave(stack, None)

    def _leave(self, stack: ExitStack, error: BaseException | None) -> None:
        try:
            stack.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except Exception as raised:  # noqa: BLE001 - an observer never fails the work it watches
            if raised is not error:
                self._tell(raised)

    def _tell(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._failed:
            self._failed.add(kind)
            self.logs.event("telemetry.error", error=kind)
