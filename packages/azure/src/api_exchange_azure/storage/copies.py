"""Sending copies of what is to come back, and letters of what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from typing_extensions import override

from api_exchange_azure.storage.queues import StorageQueues
from api_exchange_azure.storage.received import Received
from api_exchange_azure.storage.wire import LONGEST_DELAY
from api_exchange_azure.triggers.copies import Copies
from api_exchange_core.domain.delivery import DeadLetter, Defer, Disposition, Retry
from api_exchange_core.domain.names import dead_letter_queue

_AT_ONCE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class StorageCopies(Copies[Received]):
    """The Functions host hides a message that raised for one and the same time, and buries it after five times.

    So what is to wait is sent again, with the attempts that are spent. What is to wait for longer than the service
    hides a message comes earlier, after 7 days.
    """

    queues: StorageQueues

    @override
    def send(self, ending: Sequence[tuple[Received, Disposition]]) -> None:
        for one, disposition in ending:
            match disposition:
                case Retry(after):
                    self._again(one, after=after, spent=one.receive_count)
                case Defer(after):
                    self._again(one, after=after, spent=one.receive_count - 1)
                case DeadLetter(letter):
                    self.bury(one, letter)

    def bury(self, one: Received, letter: bytes) -> None:
        """Send the letter of a message.

        Raises:
            PermanentError, TransientError: it may not be stored.
        """
        content = replace(one.content, body=letter, spent=0)
        queue = dead_letter_queue(one.queue)
        self.queues.send(queue, content, delay=_AT_ONCE, what=f"the dead letter of {one.service_id}")

    def _again(self, one: Received, *, after: timedelta, spent: int) -> None:
        content = replace(one.content, spent=spent)
        delay = min(after, LONGEST_DELAY)
        self.queues.send(one.queue, content, delay=delay, what=f"a copy of {one.service_id}")
