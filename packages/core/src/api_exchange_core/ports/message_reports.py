"""What happened to messages, for people: across tenants, and after the fact."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState


@dataclass(frozen=True, slots=True, kw_only=True)
class HandledMessage(JournalEntry):
    """An entry of the journal, and whose it is."""

    tenant_id: TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt(ErrorEntry):
    """An entry of the error log, and whose it is."""

    tenant_id: TenantId


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """All messages that have one correlation id and tenant."""

    tenant_id: TenantId
    correlation_id: str


@dataclass(frozen=True, slots=True, order=True)
class PlaceInList:
    """Where a page of messages ends: what is sorted by, as far as it makes the order of any two of them sure."""

    finished_at: datetime
    tenant_id: TenantId
    function: FunctionName
    message_id: MessageId

    @classmethod
    def of(cls, message: HandledMessage) -> Self:
        """The place of *message*."""
        return cls(message.finished_at, message.tenant_id, message.function, message.message_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages. What is None lets all pass.

    Args:
        tenant_id: whose.
        function: handled by which.
        state: in which state they are now.
        since: whose state was recorded then or later.
    """

    tenant_id: TenantId | None = None
    function: FunctionName | None = None
    state: ProcessingState | None = None
    since: datetime | None = None


class MessageReports(Protocol):
    """Reads what the journal and the error log of all tenants tell of messages.

    A message is here once a function has been called with it; those that wait in a queue are not.
    """

    @abstractmethod
    def requests_named(
        self, id_: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[Request]:
        """The requests with this correlation id or, if there are none, those with a message of this id."""

    @abstractmethod
    def requests_about(
        self, entity_id: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[Request]:
        """The requests that made a version of an entity, or in which a message about it has failed; newest first.

        A request that found nothing to change and went well is not among them.
        """

    @abstractmethod
    def of_request(self, request: Request, *, limit: int) -> Sequence[HandledMessage]:
        """What became of a request's messages, those that began first first."""

    @abstractmethod
    def failed_attempts(
        self, message_ids: Collection[MessageId], *, tenant_id: TenantId, limit: int
    ) -> Sequence[FailedAttempt]:
        """The failed attempts at some messages of a tenant, oldest first."""

    @abstractmethod
    def newest(
        self, wanted: MessageFilter, *, limit: int, after: PlaceInList | None = None
    ) -> Sequence[HandledMessage]:
        """Messages, those first whose state was recorded last.

        Args:
            wanted: which.
            limit: at most so many.
            after: only those behind this place: the last one of the page before.
        """
