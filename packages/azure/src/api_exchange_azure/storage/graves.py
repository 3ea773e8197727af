"""Where letters of a queue lie in Azure Storage, and what they are called there."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from api_exchange_azure.storage.wire import Content
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter
from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.domain.names import QueueName, dead_letter_queue, queue_name

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage

POISON: Final = "-poison"
"""Behind the name of a queue: where the Functions host puts what it has handed out too often ("Azure Queue storage
trigger and bindings", Microsoft Learn). It makes that queue when it first needs it."""

_ID: Final = re.compile(r"([^/]+)/(host/)?([0-9A-Za-z-]{1,64})")


@dataclass(frozen=True, slots=True)
class Grave:
    """One of the two places where the letters of a queue lie.

    Args:
        queue: the one that they died in.
        by_host: the queue of the Functions host for them; else the dead-letter queue of the framework.
    """

    queue: QueueName
    by_host: bool = False

    @classmethod
    def both(cls, queue: QueueName) -> tuple[Self, Self]:
        """Those of *queue*."""
        return cls(queue), cls(queue, by_host=True)

    @property
    def entity(self) -> QueueName:
        """The queue that they are in."""
        return QueueName(self.queue + POISON) if self.by_host else dead_letter_queue(self.queue)

    def id_of(self, service_id: str) -> LetterId:
        """What the letter that the service calls so is called."""
        return LetterId(f"{self.queue}/{'host/' if self.by_host else ''}{service_id}")

    def service_ids_in(self, letter_ids: Collection[LetterId]) -> set[str]:
        """What the service calls those of *letter_ids* that lie here."""
        found = (found_by(one) for one in letter_ids)
        return {one[1] for one in found if one is not None and one[0] == self}

    def letter(self, message: QueueMessage) -> StoredLetter:
        """*message*, which lies here."""
        return StoredLetter(
            id=self.id_of(message.id),
            queue=self.queue,
            body=Content.in_text(message.content).body,
            buried_at=buried_at(message),
        )


def found_by(letter_id: LetterId) -> tuple[Grave, str] | None:
    """Where the letter of that id lies, and what the service calls it; None if no letter is called so."""
    match = _ID.fullmatch(letter_id)
    if match is None:
        return None
    try:
        return Grave(queue_name(match[1]), by_host=match[2] is not None), match[3]
    except DeclarationError:
        return None


def buried_at(message: QueueMessage) -> datetime:
    """Since when it is in its queue, in whole seconds."""
    if message.inserted_on is None:
        raise PermanentError(f"Azure Storage says no time of message {message.id!r}")
    return message.inserted_on.astimezone(UTC)
