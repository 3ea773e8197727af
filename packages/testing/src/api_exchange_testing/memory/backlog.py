"""What waits in an `InMemoryQueue` and an `InMemoryStore`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from typing_extensions import override

from api_exchange_core.ports.backlog import Backlog, Waiting, WaitingMessages
from api_exchange_testing.memory.queue import InMemoryQueue
from api_exchange_testing.memory.unit_of_work import InMemoryStore


class InMemoryBacklog(Backlog):
    """Counts what is due.

    Args:
        store: whose outbox.
        queue: its queues.
    """

    def __init__(self, store: InMemoryStore, queue: InMemoryQueue) -> None:
        self._store = store
        self._queue = queue

    @override
    def messages(self, *, now: datetime) -> Sequence[WaitingMessages]:
        due = {
            name: [row.visible_at for row in self._queue.messages(name) if row.visible_at <= now]
            for name in sorted(self._queue.depths())
        }
        return [
            WaitingMessages(queue=name, count=len(times), since=min(times))
            for name, times in due.items()
            if times
        ]

    @override
    def effects(self, *, now: datetime) -> Waiting | None:
        with self._store.changed:
            due = [row.due_at for row in self._store.outbox.waiting.values() if row.due_at <= now]
        return Waiting(count=len(due), since=min(due)) if due else None
