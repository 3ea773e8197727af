"""Chance: ids and jitter."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class Randomness(Protocol):
    """What must not repeat, or must be spread."""

    @abstractmethod
    def new_id(self) -> str:
        """A fresh id, unique everywhere, at most 36 characters."""

    @abstractmethod
    def fraction(self) -> float:
        """A number in [0, 1), evenly spread."""
