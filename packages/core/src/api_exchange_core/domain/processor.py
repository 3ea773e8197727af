"""The business step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from api_exchange_core.domain.context import ProcessorContext
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import QueueName
from api_exchange_core.domain.result import ProcessingResult


class ProcessorInterface(ABC):
    """One business step. It knows no cloud and no database, and may be called again for the same message.

    One instance serves all calls of a function in a process, from several threads if the function says so;
    what belongs to a call lives in *message* and *context*.
    """

    payload_model: ClassVar[type[BaseModel] | None] = None
    """What the payload must fit. A message that does not is dead-lettered with the reasons, and never retried."""

    @abstractmethod
    def process(
        self, message: Message, context: ProcessorContext
    ) -> ProcessingResult | Awaitable[ProcessingResult]:
        """Do the step. May be ``async def``.

        Raises:
            RetryableError: it failed for now.
            DeferError: it cannot run yet; no attempt is spent.
            PermanentError: it will never work; the message is dead-lettered.
            Exception: anything else counts as failed for now.
        """


@runtime_checkable
class NamesItsQueues(Protocol):
    """A processor that can tell, before it runs, every queue that it may send to; for the topology."""

    @property
    def sends_to(self) -> Sequence[QueueName]:
        """The queues, none twice. A processor that may send to others too must not have this property."""


ProcessorFactory = Callable[[], ProcessorInterface]
ProcessorLike = ProcessorInterface | type[ProcessorInterface] | ProcessorFactory
"""What a function takes: an instance, a class, or any factory without arguments."""
