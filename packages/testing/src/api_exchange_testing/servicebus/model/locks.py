"""The locked messages of a queue, by the tokens that settle them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from api_exchange_testing.servicebus.model.message import Held, Lock
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError


class Locks:
    """Who may settle what. A lock is here until it is taken away; its end is for the queue to watch.

    Args:
        path: of the queue.
        new_token: each must be another.
        lost: what to say of a token that is not here.
    """

    def __init__(self, path: str, new_token: Callable[[], UUID], *, lost: Condition) -> None:
        self._path = path
        self._lost = lost
        self._new_token = new_token
        self._held: dict[UUID, Held] = {}

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def add(self, held: Held, until: datetime) -> None:
        """Lock a message under a new token."""
        held.lock = Lock(self._new_token(), until)
        self._held[held.lock.token] = held

    def find(self, token: UUID) -> Held:
        """The message of a token.

        Raises:
            RefusedError: the lock is no longer there.
        """
        if token not in self._held:
            raise RefusedError(
                self._lost,
                "The lock supplied is invalid. Either the lock expired, or the message has already been removed"
                f" from {self._path!r}.",
            )
        return self._held[token]

    def remove(self, held: Held) -> None:
        """Unlock a message; harmless if it is not locked."""
        if held.lock is not None:
            del self._held[held.lock.token]
            held.lock = None
