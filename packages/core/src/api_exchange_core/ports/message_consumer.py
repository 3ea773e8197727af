"""Receiving and settling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.names import QueueName


class MessageConsumer(Protocol):
    """Takes messages out of queues at least once.

    A received message is invisible for its visibility timeout. If it is not settled by then it is delivered again,
    with a higher receive count, and the earlier receipt is worthless.
    """

    @abstractmethod
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        """Up to *max_messages* that are visible now; none if there are none. Does not wait.

        Each tenant that has messages gets its share, oldest first, and what one leaves of its share goes to the
        others; with more tenants than *max_messages*, they take turns from one receive to the next. A transport that
        cannot tell tenants apart hands out the oldest first, of whatever tenant.

        While a message with an ordering key is unsettled, later ones of its tenant and key are not delivered.

        Raises:
            TransientError: the transport could not be reached; what it handed out comes back after its timeout.
        """

    @abstractmethod
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        """Keep *deliveries* invisible for *visibility* from now on, for work that takes longer than thought.

        Returns:
            Those whose receipt is worthless: settled, or somebody else's by now. Nothing of theirs is changed.

        Raises:
            TransientError: some may not be extended; their time runs as before.
        """

    @abstractmethod
    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Carry out how deliveries end.

        Complete removes the message. Retry makes it visible after the wait, and the receive count goes on. Defer
        does too, without the attempt having counted. DeadLetter moves it to the dead-letter queue: the letter is
        stored before, or together with, the removal. A settlement whose receipt is worthless, because its time ran
        out and somebody else may have the message, has no effect.

        Raises:
            TransientError: some may not be settled; these come back after their timeout.
        """
