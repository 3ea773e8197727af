"""Messages of dead-letter queues, as letters, and what goes back of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api_exchange_aws.sqs.queues import Queue
from api_exchange_aws.sqs.received import attributes_of, instant
from api_exchange_aws.sqs.text import body_of
from api_exchange_aws.sqs.wire import NOTES, Attribute, Notes, Parcel
from api_exchange_core.domain.dead_letter import LetterId, StoredLetter, revived
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLetter:
    """A letter in hand.

    Args:
        stored: what is told of it.
        place: the message group in which its message kept its place; None if it waited for no other.
        share: in a standard queue, the message group whose share it is.
        attributes: of the message, without our notes.
    """

    stored: StoredLetter
    place: str | None
    share: str | None
    attributes: Mapping[str, Attribute] = field(repr=False)

    @classmethod
    def of(cls, queue: QueueName, message: MessageTypeDef) -> FoundLetter:
        """A message of ReceiveMessage, out of the dead-letter queue of *queue*.

        What SQS itself has moved there is still in the group of its source queue; our letters note it.
        """
        attributes = attributes_of(message)
        system = message["Attributes"]
        group, deduplication = system.get("MessageGroupId"), system.get("MessageDeduplicationId")
        is_fifo = deduplication is not None
        still_in_place = group if is_fifo and group != deduplication else None
        noted = Notes.of(attributes).group
        return cls(
            stored=StoredLetter(
                id=LetterId(message["MessageId"]),
                queue=queue,
                body=body_of(message["Body"]),
                buried_at=instant(system["SentTimestamp"]),
            ),
            place=still_in_place if noted is None else noted,
            share=None if is_fifo else group,
            attributes={name: one for name, one in attributes.items() if name != NOTES},
        )

    def replay(self, target: Queue) -> Parcel:
        """What goes back into *target*.

        A FIFO queue drops what has the deduplication id of a message that was sent to it within 5 minutes. That of a
        replay is the letter's own: it is none of the message that died, and the same if the letter is replayed again
        since whoever did it was killed before it was gone.
        """
        body = revived(self.stored.body)
        if not target.keeps_order:
            return Parcel(body=body, attributes=self.attributes, group=self.share)
        deduplication = f"{self.stored.id}.replay"
        return Parcel(
            body=body,
            attributes=self.attributes,
            group=deduplication if self.place is None else self.place,
            deduplication=deduplication,
        )
