"""Errors in memory, as part of a unit of work."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from typing_extensions import override

from api_exchange_core.domain.names import MessageId
from api_exchange_core.ports.error_log import ErrorEntry, ErrorLog

ErrorRows = list[ErrorEntry]
"""The committed entries of one tenant."""


class InMemoryErrorLog(ErrorLog):
    """What is committed, with the entries of one unit of work after it.

    Args:
        rows: the tenant's committed rows.
        changed: guards *rows*.
    """

    def __init__(self, rows: ErrorRows, changed: threading.Condition) -> None:
        self._rows = rows
        self._changed = changed
        self._staged: ErrorRows = []

    @override
    def add(self, entries: Sequence[ErrorEntry]) -> None:
        self._staged += entries

    @override
    def of_message(self, message_id: MessageId) -> Sequence[ErrorEntry]:
        with self._changed:
            entries = [*self._rows, *self._staged]
        return sorted(
            (one for one in entries if one.message_id == message_id), key=lambda one: one.occurred_at
        )

    def apply(self) -> None:
        """Commit; to be called with the store's lock held."""
        self._rows += self._staged
