"""What a processor answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from api_exchange_core.domain.entity import EntityReference
from api_exchange_core.domain.errors import wait
from api_exchange_core.domain.json_value import json_value
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.output import OutputHandler, OutputMessage


@dataclass(slots=True)
class ProcessingResult:
    """The outcome of one call of a processor, filled by it while it works.

    Raising an error and answering `create_failure` come to the same; nothing of a failed call is written or sent.
    """

    success: bool
    error: str | None = None
    code: str | None = None
    can_retry: bool = True
    retry_after: timedelta | None = None
    entities_created: list[str] = field(default_factory=list)
    entities_updated: list[str] = field(default_factory=list)
    output_handlers: list[OutputHandler] = field(default_factory=list)
    output_messages: list[OutputMessage] = field(default_factory=list)

    @classmethod
    def create_success(cls) -> Self:
        """It worked."""
        return cls(success=True)

    @classmethod
    def create_failure(
        cls,
        error: str,
        *,
        code: str | None = None,
        can_retry: bool = True,
        retry_after: timedelta | None = None,
    ) -> Self:
        """It did not work.

        Args:
            error: what failed, without secrets.
            code: a short stable name of the failure, for grouping.
            can_retry: False dead-letters the message at once.
            retry_after: the least wait before the next attempt; wins over the function's backoff.

        Raises:
            ValueError: *retry_after* is no timedelta from zero to a year.
        """
        if retry_after is not None:
            wait(retry_after, "retry_after")
        return cls(success=False, error=error, code=code, can_retry=can_retry, retry_after=retry_after)

    def add_entity_created(self, entity_id: str) -> None:
        """Note an entity that this call brought into the system (for the summary; persisting is what stores it)."""
        self.entities_created.append(entity_id)

    def add_entity_updated(self, entity_id: str) -> None:
        """Note an entity that this call changed (for the summary; persisting is what stores it)."""
        self.entities_updated.append(entity_id)

    def add_output_handler(self, handler: OutputHandler) -> None:
        """Send the output there too.

        Raises:
            TypeError: *handler* is no output handler.
        """
        if not isinstance(handler, OutputHandler):
            raise TypeError(
                f"an output handler such as QueueOutputHandler('orders') is needed, not {handler!r}"
            )
        self.output_handlers.append(handler)

    def add_output_message(
        self,
        payload: object,
        *,
        entity: EntityReference | None = None,
        type: str | None = None,  # noqa: A002 - CloudEvents' word for it
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Send *payload* instead of what would be forwarded; call it again to send several.

        Raises:
            UnrepresentableError: the payload has no JSON form.
        """
        if isinstance(payload, Message):
            raise TypeError(
                "hand over the new message's payload; its ids, tenant and correlation come by themselves"
            )
        self.output_messages.append(
            OutputMessage(
                payload=json_value(payload), entity=entity, type=type, metadata=dict(metadata or {})
            )
        )
