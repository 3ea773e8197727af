"""Telling what happens."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from typing_extensions import override

from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, QueueName, TenantId
from api_exchange_core.domain.trace_context import TraceContext


class Outcome(StrEnum):
    """How the handling of one message ended."""

    COMPLETED = "completed"
    DUPLICATE = "duplicate"
    RETRY = "retry"
    DEFERRED = "deferred"
    DEAD_LETTERED = "dead_lettered"
    GIVEN_BACK = "given_back"
    DROPPED = "dropped"  # of an erased tenant


class MessageTrace(Protocol):
    """What traces know of one message, from the call of its processor until its handling is told."""

    @property
    @abstractmethod
    def context(self) -> TraceContext | None:
        """What the children of the message carry."""

    @abstractmethod
    def running(self) -> AbstractContextManager[None]:
        """Around the processor, in the thread or task that it runs in."""


_AROUND_NOTHING = nullcontext()


@dataclass(frozen=True, slots=True)
class PassedOn(MessageTrace):
    """The trace of a message that has no span here: what came in goes on, so that it survives hops like this one."""

    context: TraceContext | None = None

    @override
    def running(self) -> AbstractContextManager[None]:
        return _AROUND_NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """One message, handled; what a summary line holds. No payload, no secrets.

    Args:
        duration: from the attempt's first call to the end of its last, quick retries and their waits included.
        quick_retries: how often the processor was called again within the attempt.
        waited: from being put into its queue to the call of the processor, if the platform tells.
        duration: of the processor.
        commit: this message's share of the commit; of what was not committed None.
        trace_context: of what was done; of a message that no processor was called for, where it was made.
        trace: of the call, if there was one.
    """

    function: str
    queue: str
    outcome: Outcome
    attempt: int
    duration: timedelta
    waited: timedelta | None = None
    commit: timedelta | None = None
    tenant_id: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    operation: str | None = None
    entities: int = 0
    new_versions: int = 0
    outputs: int = 0
    problem: Problem | None = None
    quick_retries: int = 0
    trace_context: TraceContext | None = None
    trace: MessageTrace | None = field(default=None, repr=False, compare=False)


class Observer(Protocol):
    """Logs, counts and traces. It never fails the work it watches."""

    @abstractmethod
    def bound(self, **ids: str | int | None) -> AbstractContextManager[None]:
        """Within the block, whatever is logged carries *ids*."""

    @abstractmethod
    def handled(self, summary: Handled) -> None:
        """A message was handled."""

    @abstractmethod
    def event(self, name: str, **facts: str | float | None) -> None:
        """Something else worth a line happened."""

    @abstractmethod
    def token_waited(self, tenant_id: TenantId, *, api: str, waited: timedelta) -> None:
        """A call had no token for *api* and waited for one, whether it then got one or not."""

    @abstractmethod
    def trace(
        self, message: Message, *, function: FunctionName, queue: QueueName, attempt: int
    ) -> MessageTrace:
        """The processor of *function* is about to be called with *message*, which came from *queue*.

        What the message carries never is a reason to fail, and goes on to its children if no span takes its place.
        """

    @abstractmethod
    def abandoned(self, trace: MessageTrace, reason: str) -> None:
        """The call came to nothing that will be told; *reason* is the name of an error."""

    @abstractmethod
    def batch(
        self, function: FunctionName, *, queue: QueueName, count: int
    ) -> AbstractContextManager[object]:
        """Around the handling of *count* deliveries of *queue*."""

    @abstractmethod
    def sending(
        self, queue: QueueName, *, count: int = 1, parent: TraceContext | None = None
    ) -> AbstractContextManager[TraceContext | None]:
        """Around sending the first messages of requests.

        Args:
            queue: where to.
            count: how many.
            parent: of whoever asked for it.

        Returns:
            What these messages carry.
        """


class WithoutTraces(Observer):
    """For observers that keep no traces: what came in goes on."""

    @override
    def trace(
        self, message: Message, *, function: FunctionName, queue: QueueName, attempt: int
    ) -> MessageTrace:
        return PassedOn(message.trace)

    @override
    def abandoned(self, trace: MessageTrace, reason: str) -> None: ...

    @override
    def batch(
        self, function: FunctionName, *, queue: QueueName, count: int
    ) -> AbstractContextManager[object]:
        return nullcontext()

    @override
    def sending(
        self, queue: QueueName, *, count: int = 1, parent: TraceContext | None = None
    ) -> AbstractContextManager[TraceContext | None]:
        return nullcontext(parent)
