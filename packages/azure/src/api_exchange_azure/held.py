"""What a consumer was handed and has not settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Generic, TypeVar

One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class HeldMessages(Generic[One]):
    """What it takes to settle messages, by their receipts, for as long as the receipts are good.

    A message that nobody settles, since its work was left to a later attempt, is forgotten once its time is up: so
    that a process that runs for months holds what it works on, and nothing else.
    """

    _held: dict[str, tuple[One, datetime]] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)

    def keep(self, receipt: str, one: One, *, until: datetime) -> None:
        """Hold *one*, in place of what had this receipt before."""
        with self._lock:
            self._held[receipt] = one, until

    def find(self, receipt: str) -> One | None:
        """What has this receipt; None if it was settled, lost or forgotten."""
        with self._lock:
            found = self._held.get(receipt)
        return None if found is None else found[0]

    def take(self, receipt: str) -> One | None:
        """The same, and hold it no more."""
        with self._lock:
            found = self._held.pop(receipt, None)
        return None if found is None else found[0]

    def forget(self, now: datetime) -> list[One]:
        """Hold no more whose time is up by *now*; what that was."""
        with self._lock:
            over = [receipt for receipt, (_, until) in self._held.items() if until <= now]
            return [self._held.pop(receipt)[0] for receipt in over]

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._held.clear()
