"""What waits, and for how long."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, QueueName


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Things that could be worked on now, and that nobody works on.

    Args:
        count: how many; of very many, at least so many.
        since: when the one that has waited longest became due.
    """

    count: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessages:
    """Messages in a queue that are due: neither delayed nor in somebody's hands, if the transport tells them apart.

    Args:
        queue: where they wait.
        count: how many; of very many, at least so many.
        since: when the one that has waited longest became due; None if the transport does not tell.
    """

    queue: QueueName
    count: int
    since: datetime | None

    @property
    def are_dead_letters(self) -> bool:
        """Whether they wait for people and not for a function."""
        return self.queue.endswith(DEAD_LETTER_SUFFIX)


class Backlog(Protocol):
    """Tells what waits; for people, so the numbers may be a moment old."""

    @abstractmethod
    def messages(self, *, now: datetime) -> Sequence[WaitingMessages]:
        """The queues in which messages wait, by name."""

    @abstractmethod
    def effects(self, *, now: datetime) -> Waiting | None:
        """The committed effects that the relay should have carried out by now; None if there are none."""
