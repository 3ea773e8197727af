"""How far the extractions of a tenant have come, as part of a unit of work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from api_exchange_core.domain.checkpoint import Checkpoint


class Checkpoints(Protocol):
    """One checkpoint a source of one tenant."""

    @abstractmethod
    def get(self, source: str) -> Checkpoint | None:
        """Where *source* (or a slice, by its key) stands; None if nothing was ever written."""

    @abstractmethod
    def all(self) -> Sequence[Checkpoint]:
        """All of the tenant's, by source."""

    @abstractmethod
    def write(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write each over the version before its own: version 1 only where there is none yet.

        Args:
            checkpoints: no source twice.

        Raises:
            LostRaceError: another writer was first; this unit of work cannot commit.
        """
