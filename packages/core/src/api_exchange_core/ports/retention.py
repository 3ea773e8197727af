"""Removing what has been kept long enough."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NewType, Protocol

from api_exchange_core.domain.retention import Expiry

Place = NewType("Place", str)
"""How far a walk has come; means something to the store that gave it, and to no other."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a walk through what is kept.

    Args:
        expired: how many rows had expired.
        next: where the next step begins; None at the end.
    """

    expired: int
    next: Place | None


class RetentionStore(Protocol):
    """Walks through rows of all tenants, in steps that are over in a moment, and removes the expired ones.

    A walk sees every row that had expired when it began. A journal entry that is `UNDECIDED` does not expire.
    """

    @abstractmethod
    def purge(self, expiry: Expiry, *, after: Place | None, limit: int, dry_run: bool = False) -> Step:
        """Look at about *limit* rows from *after* on, and remove those that have expired, in one transaction.

        Args:
            expiry: which ones.
            after: what the step before gave; None begins a walk.
            limit: rows to look at; how many they are exactly is the store's to say.
            dry_run: count them only.

        Raises:
            TransientError: nothing was removed, or it is unknown whether it was; the same step again is safe.
        """
