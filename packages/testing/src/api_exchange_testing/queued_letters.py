"""Dead letters, as they lie in queues."""

from __future__ import annotations

from collections.abc import Iterable

from api_exchange_core import Message
from api_exchange_core.domain.envelope import decode, decode_failure
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_testing.memory.queue import InMemoryQueue


def queued_letters(queues: InMemoryQueue, of: Iterable[QueueName]) -> list[tuple[Message | None, Failure]]:
    """The dead letters of queues, oldest first in each; None in place of a message for bytes that could not be read.

    Raises:
        InvalidMessageError: there is one that was never given up, but sent there.
    """
    return [_opened(letter.body) for queue in of for letter in queues.messages(dead_letter_queue(queue))]


def _opened(letter: bytes) -> tuple[Message | None, Failure]:
    failure = decode_failure(letter)
    if failure is None:
        raise InvalidMessageError(
            "a message in a dead-letter queue has no failure block: it was sent there by hand"
        )
    try:
        return decode(letter), failure
    except InvalidMessageError:
        return None, failure
