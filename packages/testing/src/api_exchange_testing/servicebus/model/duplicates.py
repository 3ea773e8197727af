"""Detection of duplicates: a message id is remembered for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta


class Duplicates:
    """The message ids of the last *window*, with the sequence number that each was given.

    A duplicate does not lengthen the time for which its id is remembered.
    """

    def __init__(self, window: timedelta | None) -> None:
        self._window = window
        self._seen: OrderedDict[Hashable, tuple[datetime, int]] = OrderedDict()

    def original(self, message_id: Hashable, now: datetime) -> int | None:
        """The sequence number of the message with this id; None if there was none."""
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest][0] > now:
                break
            del self._seen[oldest]
        found = self._seen.get(message_id)
        return None if found is None else found[1]

    def remember(self, message_id: Hashable, number: int, now: datetime) -> None:
        """Keep the id for a window from *now*; a message without one has no duplicates."""
        if self._window is not None and message_id is not None:
            self._seen[message_id] = (now + self._window, number)
