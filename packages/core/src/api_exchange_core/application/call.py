"""One call of a processor, from the delivery to what it intends."""

from __future__ import annotations

import traceback
from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from api_exchange_core.application.services import Services
from api_exchange_core.domain.context import ProcessorContext
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.envelope import decode, decode_payload
from api_exchange_core.domain.errors import ExchangeError, PermanentError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.intentions import Intentions
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.operation import operation_of
from api_exchange_core.domain.payload_model import validated
from api_exchange_core.domain.result import ProcessingResult
from api_exchange_core.domain.tenant import tenant_context
from api_exchange_core.ports.observer import MessageTrace, PassedOn

_DEEPEST_STACK = 30
_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A delivery that holds a message.

    Args:
        delivery: how it came.
        message: what it holds.
        fence: of the claim that an exclusive function has on the message; 0 without one.
        tenant_config: of its tenant, as it was at the door.
    """

    delivery: Delivery
    message: Message
    fence: int = 0
    tenant_config: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)

    @property
    def as_received(self) -> Message:
        """The message read anew. The payload of `message` is the processor's, who may have changed it in place."""
        return decode(self.delivery.body)

    @property
    def payload_as_received(self) -> JsonValue:
        """The payload of `as_received`, for less than reading all of it."""
        return decode_payload(self.delivery.body)

    @property
    def anew(self) -> Incoming:
        """For another call: the message as it was received."""
        return replace(self, message=self.as_received)

    @property
    def attempt(self) -> int:
        """Which attempt this is: the larger of the envelope's count and the platform's."""
        return max(self.message.attempt, self.delivery.receive_count)


@dataclass(slots=True, eq=False)
class Call:
    """A call of a function's processor with one message; ends with a result or a problem.

    Args:
        quick_retries: how many calls of the same attempt have failed before this one.
    """

    function: Function
    incoming: Incoming
    context: ProcessorContext
    result: ProcessingResult | None = None
    problem: Problem | None = None
    stack: str = ""
    took: timedelta = timedelta(0)
    quick_retries: int = 0
    trace: MessageTrace = field(default_factory=PassedOn, repr=False)

    @property
    def message(self) -> Message:
        """The message that is processed."""
        return self.incoming.message

    @property
    def intentions(self) -> Intentions:
        """What the processor wants recorded."""
        return self.context.intentions

    @property
    def operation(self) -> str | None:
        """Name of the processor's step."""
        return operation_of(self.function.processor.process)

    @property
    def started_at(self) -> datetime:
        """When the call began."""
        return self.context.now

    @property
    def waited(self) -> timedelta | None:
        """How long the message had been in its queue when the call began, if the platform tells."""
        enqueued_at = self.incoming.delivery.enqueued_at
        # Clocks of two machines differ, and nothing is handed out before it is sent.
        return None if enqueued_at is None else max(self.started_at - enqueued_at, _NO_TIME)

    @property
    def succeeded_with(self) -> ProcessingResult:
        """The result of a call that has one and no problem."""
        if self.result is None:
            raise PermanentError(f"function {self.function.name!r}: the call has no result")
        return self.result

    @contextmanager
    def running(self, services: Services) -> Iterator[None]:
        """Around the processor: binds tenant, ids and services, takes the time, and turns errors into a problem."""
        message = self.message
        ids = {
            "tenant_id": message.tenant_id,
            "function": self.function.name,
            "operation": self.operation,
            "message_id": message.id,
            "correlation_id": message.correlation_id,
            "causation_id": message.causation_id,
            "attempt": self.context.attempt,
            "trace_id": None if (trace := self.trace.context) is None else trace.trace_id,
        }
        with (
            tenant_context(message.tenant_id),
            services.at_work(self.context.deadline),
            services.observer.bound(**ids),
            self.trace.running(),
        ):
            try:
                yield
                self._check_result()
            except (Exception, SystemExit, CancelledError) as error:  # noqa: BLE001 - the last frame we own
                # A processor that exits, or leaks the cancelling of its own tasks, has failed; its worker has not.
                self.fail(error)
            finally:
                self.took = services.clock.now() - self.started_at

    def fail(self, error: BaseException) -> None:
        """End the call with a problem."""
        self.result = None
        self.problem = Problem.of(error, function=self.function.name, operation=self.operation)
        self.stack = stack_of(error)

    def check_payload(self) -> None:
        """Return if the payload fits the processor's model.

        Raises:
            InvalidPayloadError: it does not.
        """
        model = self.function.processor.payload_model
        if model is not None:
            validated(model, self.message.payload, where=f"payload of message {self.message.id!r}")

    def _check_result(self) -> None:
        result = self.result
        if not isinstance(result, ProcessingResult):
            raise PermanentError(
                f"{type(self.function.processor).__name__}.process of function {self.function.name!r} answered "
                f"{type(result).__name__}; return a ProcessingResult"
            )
        if not result.success:
            self.problem = Problem.of_result(result, function=self.function.name, operation=self.operation)
        elif result.output_messages and not result.output_handlers:
            raise PermanentError(
                f"function {self.function.name!r} made {len(result.output_messages)} output messages and named no "
                "output handler: add one, or NoOutputHandler() to drop them on purpose"
            )


def loggable(error: BaseException) -> dict[str, str]:
    """What may be logged of *error*: its class, and the text of one of ours or the place of any other.

    The text of somebody else's error may hold payload.
    """
    told = {"reason": str(error)} if isinstance(error, ExchangeError) else {"stack": stack_of(error)}
    return {"error": type(error).__name__, **told}


def stack_of(error: BaseException) -> str:
    """Files, lines and functions of the innermost frames of *error*; no values and no message."""
    frames = traceback.extract_tb(error.__traceback__)[-_DEEPEST_STACK:]
    return "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
