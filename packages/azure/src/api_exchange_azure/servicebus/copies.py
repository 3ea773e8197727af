"""Sending copies of what is to come back, and letters of what is not."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from typing_extensions import override

from api_exchange_azure.servicebus.received import Received
from api_exchange_azure.servicebus.senders import Senders
from api_exchange_azure.servicebus.wire import Parcel
from api_exchange_azure.triggers.copies import Copies
from api_exchange_core.domain.delivery import DeadLetter, Defer, Disposition, Retry
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_core.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class ServiceBusCopies(Copies[Received]):
    """Service Bus cannot hide a message that it has handed out, so what is to wait is sent again for later.

    The copy notes how many attempts are spent, since the broker counts its deliveries anew. It is sent before the
    original is completed: a process that dies in between leaves both, and the journal absorbs the second.
    """

    senders: Senders
    clock: Clock
    session_queues: AbstractSet[QueueName] = frozenset()

    @override
    def send(self, ending: Sequence[tuple[Received, Disposition]]) -> None:
        by_queue: dict[QueueName, list[Parcel]] = {}
        for one, disposition in ending:
            match disposition:
                case Retry(after):
                    parcel = one.again(after=after, spent=one.receive_count, now=self.clock.now())
                    by_queue.setdefault(one.queue, []).append(parcel)
                case Defer(after):
                    parcel = one.again(after=after, spent=one.receive_count - 1, now=self.clock.now())
                    by_queue.setdefault(one.queue, []).append(parcel)
                case DeadLetter(letter):
                    grave = dead_letter_queue(one.queue)
                    parcel = one.buried(letter, in_session=grave in self.session_queues)
                    by_queue.setdefault(grave, []).append(parcel)
        for queue, parcels in by_queue.items():
            self.senders.send(queue, parcels)
