"""The journal in memory, as part of a unit of work."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from typing_extensions import override

from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import FunctionName, MessageId
from api_exchange_core.ports.journal import Journal, JournalEntry, ProcessingState

JournalRows = dict[tuple[FunctionName, MessageId], JournalEntry]
"""The committed entries of one tenant."""


class InMemoryJournal(Journal):
    """What is committed, with the entries of one unit of work over it.

    Args:
        rows: the tenant's committed rows.
        changed: guards *rows*.
    """

    def __init__(self, rows: JournalRows, changed: threading.Condition) -> None:
        self._rows = rows
        self._changed = changed
        self._staged: JournalRows = {}

    @override
    def completed(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        with self._changed:
            rows = {**self._rows, **self._staged}
        return frozenset(id_ for id_ in message_ids if _is_completed(rows.get((function, id_))))

    @override
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        accepted = set()
        with self._changed:
            for entry in entries:
                if not self._is_completed(entry):
                    self._staged[_key(entry)] = entry
                    accepted.add(entry.message_id)
        return frozenset(accepted)

    @override
    def fail(self, entries: Sequence[JournalEntry]) -> None:
        with self._changed:
            self._staged.update({_key(entry): entry for entry in entries if not self._is_completed(entry)})

    @override
    def trace(self, correlation_id: str) -> Sequence[JournalEntry]:
        with self._changed:
            entries = {**self._rows, **self._staged}.values()
        return sorted(
            (one for one in entries if one.correlation_id == correlation_id), key=lambda one: one.started_at
        )

    def check(self) -> None:
        """Return if what is to be written can be committed; to be called with the store's lock held.

        Raises:
            LostRaceError: another unit of work has completed a message that this one completes.
        """
        for key, entry in self._staged.items():
            if _is_completed(entry) and _is_completed(self._rows.get(key)):
                raise LostRaceError(f"message {entry.message_id!r} was completed by another unit of work")

    def apply(self) -> None:
        """Commit what `check` has let through, under the same hold of the lock."""
        self._rows.update(
            {key: entry for key, entry in self._staged.items() if not _is_completed(self._rows.get(key))}
        )

    def _is_completed(self, entry: JournalEntry) -> bool:
        key = _key(entry)
        return _is_completed(self._rows.get(key)) or _is_completed(self._staged.get(key))


def _key(entry: JournalEntry) -> tuple[FunctionName, MessageId]:
    return entry.function, entry.message_id


def _is_completed(entry: JournalEntry | None) -> bool:
    return entry is not None and entry.state is ProcessingState.COMPLETED
