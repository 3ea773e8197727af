"""Looking through dead letters, putting them back, throwing them away."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.dead_letter import LetterId, StoredLetter
from api_exchange_core.domain.names import QueueName


class DeadLetters(Protocol):
    """The dead-letter queues of a transport, as operators see them. Queues are named by the one that letters died in.

    A selection of letters is their ids and the moment at which they were selected: *until*. An id alone is not
    enough, since some transports give the id of a letter that is gone to another one. Both are kept by who selects,
    so a transport that knows no lasting selection can carry one out:

    - Service Bus peeks at letters without receiving them, and takes one in hand by its sequence number. The id is that
      number, and which of a queue's two places for letters it counts in.
    - SQS cannot look without receiving. There a scan receives with a visibility that covers it, and gives back what
      it has seen; replay and discard go through the queue, act on the ids that are asked for, and give back the
      others. The id is the service's MessageId, and *until* is compared with SentTimestamp.
    """

    @abstractmethod
    def scan(self, queue: QueueName, *, until: datetime) -> Iterator[Sequence[StoredLetter]]:
        """The letters of *queue* that have been there since *until* or longer, oldest first, page by page.

        It changes nothing: the letters stay, and can be received, replayed and discarded meanwhile. Each that is
        there from beginning to end comes at least once. Pages are small enough to be held in memory.

        Raises:
            TransientError: the transport could not be reached.
        """

    @abstractmethod
    def get(self, letter_id: LetterId) -> StoredLetter | None:
        """The letter, from whichever queue; None if there is none of that id.

        Raises:
            TransientError: the transport could not be reached.
        """

    @abstractmethod
    def replay(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        """Put letters back into *queue*, as `dead_letter.revived` makes them; which these were.

        They are visible there at once, behind what waits, in the order in which they were buried, and with the
        ordering key that they had. Each is in its queue before, or at the very moment when, it is gone from the dead
        letters; a transport that is interrupted in between has it in both, and the journal absorbs the second copy.
        However many do this at once, each letter is put back by one of them.

        An id that is not answered was not there, or has been there only since after *until*; nothing was done. What
        is no id of this transport is one that is not there.

        Raises:
            PermanentError: one is no message of an exchange (`dead_letter.check_replayable`), and would die again as
                it is; says which. Of a hundred letters at most, none was put back.
            TransientError: some may not have been put back; those that were are gone from the dead letters.
        """

    @abstractmethod
    def discard(
        self, queue: QueueName, letter_ids: Collection[LetterId], *, until: datetime
    ) -> Collection[LetterId]:
        """Remove letters of *queue* for good; which these were. Ids that are not answered as in `replay`.

        Raises:
            TransientError: some may still be there.
        """
