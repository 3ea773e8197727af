"""Messages as Service Bus hands them out, to a consumer or to a function, as deliveries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from api_exchange_azure.servicebus.wire import NOTES, Notes, Parcel, Property, broker_id
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import QueueName

_NO_TIME: Final = timedelta(0)
_COPY: Final = re.compile(r"(.*)/again-([0-9]{1,9})", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message, with what it takes to send a copy of it.

    Args:
        queue: its portable name.
        receipt: of the lock that it is under.
        message_id: as the broker has it.
        body: the bytes as they came.
        properties: of the application.
        session: the one that it is in, if its queue requires sessions; None else.
        times: how often the broker has handed it out, this time included.
        enqueued_at: when it was sent, or fell due.
    """

    queue: QueueName
    receipt: str = field(repr=False)
    message_id: str
    body: bytes = field(repr=False)
    properties: Mapping[str, Property] = field(repr=False)
    session: str | None
    times: int
    enqueued_at: datetime | None

    @property
    def delivery(self) -> Delivery:
        """What the use cases are handed."""
        return Delivery(self.queue, self.body, self.receipt, self.receive_count, self.enqueued_at)

    @property
    def receive_count(self) -> int:
        """How often it was handed out that counts, copies of it included."""
        return Notes.of(self.properties).spent + self.times

    @property
    def keeps_order(self) -> bool:
        """Whether others wait for this message: it is in a session that is not its own."""
        return self.session is not None and self.session != self.message_id

    def again(self, *, after: timedelta, spent: int, now: datetime) -> Parcel:
        """A copy, *after* some time, of which *spent* attempts are known.

        Its id is another than the original's and than that of each copy before, or a queue that detects duplicates
        drops it. Of one message all copies have the same, so that what is sent twice is kept once.
        """
        message_id = self._next_id
        return Parcel(
            message_id=message_id,
            body=self.body,
            properties={**self._own_properties, **Notes(spent=spent).properties},
            session=None if self.session is None else self.session if self.keeps_order else message_id,
            due_at=now + after if after > _NO_TIME else None,
        )

    def buried(self, letter: bytes, *, in_session: bool) -> Parcel:
        """The dead letter, which notes its message's session.

        Args:
            letter: the bytes.
            in_session: the dead-letter queue requires sessions: the letter gets one of its own.
        """
        notes = Notes(session=self.session if self.keeps_order else None)
        return Parcel(
            message_id=self.message_id,
            body=letter,
            properties={**self._own_properties, **notes.properties},
            session=self.message_id if in_session else None,
        )

    @property
    def _own_properties(self) -> Mapping[str, Property]:
        return {name: value for name, value in self.properties.items() if name != NOTES}

    @property
    def _next_id(self) -> str:
        copy = _COPY.fullmatch(self.message_id)
        root, number = (self.message_id, 0) if copy is None else (copy[1], int(copy[2]))
        return broker_id(root, f"again-{number + 1}")
