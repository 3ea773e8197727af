"""Going through a Storage Queue from end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from azure.core.exceptions import HttpResponseError

from api_exchange_azure.errors import code_of, translated
from api_exchange_azure.storage.queues import AT_ONCE, WORTHLESS, StorageQueues
from api_exchange_azure.storage.wire import whole_seconds
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.names import QueueName

if TYPE_CHECKING:
    from types import TracebackType

    from azure.storage.queue import QueueMessage

HIDDEN: Final = timedelta(minutes=2)
"""How long a message that is in hand is kept from others. What a process has in hand when it dies comes back then."""


class Walk:
    """Takes all messages of a queue in hand, page by page, so that none is met twice; gives them back at its end.

    They are given back in the order in which they came, so that the next walk meets them in it again. The service
    counts each as received once more, which nobody reads in a queue of dead letters.

    Args:
        queues: of the account.
        name: of the queue.
    """

    def __init__(self, queues: StorageQueues, name: QueueName) -> None:
        self._queues = queues
        self._name = name
        self._in_hand: dict[str, QueueMessage] = {}
        self._met: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for message in list(self._in_hand.values()):
            try:
                self._hide(message, timedelta(0))
            except TransientError:
                return  # they come back by themselves, and what was done with others is to be told

    def pages(self) -> Iterator[list[QueueMessage]]:
        """What nobody else has in hand, about the oldest first. After `HIDDEN`, what was met may be there again."""
        while True:
            with translated("receive", self._queues.named(self._name)):
                received = list(
                    self._queues[self._name].receive_messages(
                        max_messages=AT_ONCE,
                        messages_per_page=AT_ONCE,
                        visibility_timeout=whole_seconds(HIDDEN),
                    )
                )
            page = [one for one in received if one.id not in self._met]
            self._in_hand.update({one.id: one for one in received})
            self._met.update(one.id for one in page)
            if not page:
                return
            yield page

    def has_all(self) -> bool:
        """Whether all that is in the queue is in this hand, and nothing is in another's."""
        with translated("count", self._queues.named(self._name)):
            count = self._queues[self._name].get_queue_properties().approximate_message_count or 0
        return count <= len(self._in_hand)

    def keep(self, message: QueueMessage) -> bool:
        """Hide a message that is in hand for `HIDDEN` from now on; False if it is in hand no more."""
        return self._hide(self._in_hand[message.id], HIDDEN)

    def remove(self, message: QueueMessage) -> bool:
        """Remove a message that is in hand; False if it is in hand no more."""
        held = self._in_hand.pop(message.id)
        return self._told("delete a message", lambda: self._queues[self._name].delete_message(held))

    def _hide(self, message: QueueMessage, time: timedelta) -> bool:
        def hide() -> None:
            updated = self._queues[self._name].update_message(
                message.id, message.pop_receipt, visibility_timeout=whole_seconds(time)
            )
            message.pop_receipt = updated.pop_receipt

        return self._told("hide a message", hide)

    def _told(self, action: str, request: Callable[[], None]) -> bool:
        """Whether the receipt was good for it."""
        with translated(action, self._queues.named(self._name)):
            try:
                request()
            except HttpResponseError as error:
                if code_of(error) in WORTHLESS:
                    return False
                raise
        return True
