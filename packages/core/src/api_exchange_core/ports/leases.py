"""The right to do a chore that one instance does for all."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime, timedelta
from typing import Protocol


class Leases(Protocol):
    """One holder a name, for a time."""

    @abstractmethod
    def take(
        self, name: str, *, owner: str, now: datetime, until: datetime, every: timedelta = timedelta(0)
    ) -> bool:
        """Become the holder of *name* until *until*, unless somebody is, or has run it within *every*.

        Of many that ask at the same time one gets it. A holder that asks again gets it anew. One whose time ran out,
        since it died or took too long, holds nothing any more.

        Raises:
            TransientError: the store could not be reached; whether we are the holder shows the next time.
        """

    @abstractmethod
    def release(self, name: str, *, owner: str, ran_at: datetime | None = None) -> None:
        """Give *name* back, if it is still *owner*'s.

        Args:
            name: what was taken.
            owner: who took it.
            ran_at: when its work began, if all of it was done; the next run is `every` after that.

        Raises:
            TransientError: the store could not be reached; the lease ends by itself.
        """
