"""Sending."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from api_exchange_core.domain.names import MessageId, QueueName, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message on its way into a queue: encoded, with what the transport must know."""

    queue: QueueName
    tenant_id: TenantId
    message_id: MessageId
    body: bytes = field(repr=False)
    delay: timedelta = timedelta(0)
    ordering_key: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)


class MessagePublisher(Protocol):
    """Puts messages into queues, durably and at least once.

    Messages of one call with the same queue, tenant and ordering key keep their order.
    """

    @abstractmethod
    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Send all of *messages*; once this returns, each has been stored by the transport.

        Raises:
            TransientError: some were not stored, others may have been; sending all of them again is safe.
            PermanentError: a message can never be sent; says which and why. Nothing is left out in silence.
        """
