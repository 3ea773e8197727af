"""Looking into queues."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from api_exchange_core.domain.names import QueueName


class QueueInspector(Protocol):
    """Tells how many messages wait; for people and progress, so the numbers may be a moment old."""

    @abstractmethod
    def depths(self) -> Mapping[QueueName, int]:
        """Messages in each queue that has any, invisible and delayed ones included."""
