"""Time."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells what time it is."""

    @abstractmethod
    def now(self) -> datetime:
        """The current time, aware, in UTC."""
