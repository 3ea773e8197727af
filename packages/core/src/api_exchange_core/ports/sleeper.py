"""Waiting."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import Protocol


class Sleeper(Protocol):
    """Lets time pass within a call. For moments: what takes longer goes back into its queue."""

    @abstractmethod
    def sleep(self, time: timedelta) -> None:
        """Return after *time*; holds this thread and no other."""

    @abstractmethod
    async def sleep_async(self, time: timedelta) -> None:
        """Return after *time*; what else runs on the event loop goes on meanwhile."""
