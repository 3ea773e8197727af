"""Where letters of a queue lie in Service Bus, and what they are called there."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self, TypeVar

from api_exchange_azure.servicebus.wire import NOTES, Notes, Parcel, body_of, broker_id, properties_of
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter, revived
from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.domain.names import QueueName, dead_letter_queue, queue_name

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage

Fact = TypeVar("Fact")

_ID: Final = re.compile(r"([^/]+)/(?:(broker|aside)/)?([0-9]{1,19})")
_LAST: Final = 2**63 - 1  # of sequence numbers
_GENERATION: Final = re.compile(r"(?:/(?:again|letter|broker|aside)-[0-9]{1,19})+\Z")
# What the broker adds to a message that it puts aside ("Overview of Service Bus dead-letter queues", Microsoft Learn).
_OF_BROKER: Final = ("DeadLetterReason", "DeadLetterErrorDescription")


class Place(StrEnum):
    """Where letters of a queue can lie."""

    LETTER = "letter"
    """The dead-letter queue of the framework."""
    BROKER = "broker"
    """The queue's own ``/$DeadLetterQueue``, where the broker puts what it has handed out too often."""
    ASIDE = "aside"
    """The same of the framework's dead-letter queue: letters that are too old for it, or were in hand too often."""


@dataclass(frozen=True, slots=True)
class Grave:
    """One of the places where the letters of a queue lie.

    Args:
        queue: the one that they died in.
        place: which of them.
    """

    queue: QueueName
    place: Place = Place.LETTER

    @classmethod
    def each(cls, queue: QueueName) -> tuple[Self, ...]:
        """Those of *queue*."""
        return tuple(cls(queue, place) for place in Place)

    @property
    def by_broker(self) -> bool:
        """Whether it was the broker that put them there."""
        return self.place is not Place.LETTER

    @property
    def entity(self) -> QueueName:
        """The queue to receive from, or whose dead-letter queue that is."""
        return self.queue if self.place is Place.BROKER else dead_letter_queue(self.queue)

    def id_of(self, number: int) -> LetterId:
        """What the letter with that sequence number is called."""
        return LetterId(f"{self.queue}/{f'{self.place}/' if self.by_broker else ''}{number}")

    def numbers_in(self, letter_ids: Collection[LetterId]) -> list[int]:
        """The sequence numbers of those of *letter_ids* that lie here, the oldest first."""
        found = (found_by(one) for one in letter_ids)
        return sorted({one[1] for one in found if one is not None and one[0] == self})

    def letter(self, message: ServiceBusReceivedMessage) -> StoredLetter:
        """*message*, which lies here."""
        return StoredLetter(
            id=self.id_of(number_of(message)),
            queue=self.queue,
            body=body_of(message),
            buried_at=buried_at(message),
        )

    def parcel(self, message: ServiceBusReceivedMessage, *, in_session: bool) -> Parcel:
        """What a replay of *message* sends.

        Its id is another than that of the message that died, which a queue that detects duplicates would drop; and
        of one letter it is always the same, so that a queue that does keeps one of two.

        Args:
            message: a letter that lies here.
            in_session: the queue requires sessions: what had none gets one of its own.
        """
        root = _GENERATION.sub("", message.message_id or "")
        message_id = broker_id(root, f"{self.place}-{number_of(message)}")
        properties = properties_of(message)
        noted = message.session_id if self.place is Place.BROKER else Notes.of(properties).session
        return Parcel(
            message_id=message_id,
            body=revived(body_of(message)),
            properties={
                name: value for name, value in properties.items() if name not in (NOTES, *_OF_BROKER)
            },
            session=(noted or message_id) if in_session else None,
        )


def found_by(letter_id: LetterId) -> tuple[Grave, int] | None:
    """Where the letter of that id lies, and under which number; None if no letter is called so."""
    match = _ID.fullmatch(letter_id)
    if match is None or int(match[3]) > _LAST:
        return None
    try:
        return Grave(queue_name(match[1]), Place(match[2] or Place.LETTER)), int(match[3])
    except DeclarationError:
        return None


def number_of(message: ServiceBusReceivedMessage) -> int:
    """Its sequence number, which the broker gives to all."""
    return _told(message.sequence_number, "number")


def buried_at(message: ServiceBusReceivedMessage) -> datetime:
    """Since when it is in its queue; of what the broker put aside, since when it was in the queue that it died in."""
    moment = _told(message.enqueued_time_utc, "time")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _told(fact: Fact | None, name: str) -> Fact:
    if fact is None:
        raise PermanentError(f"Service Bus says no {name} of a message that lies in a queue")
    return fact
