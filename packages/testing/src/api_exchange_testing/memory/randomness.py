"""Chance that a seed repeats."""

from __future__ import annotations

import random
from uuid import UUID

from typing_extensions import override

from api_exchange_core.ports.randomness import Randomness


class SeededRandomness(Randomness):
    """The same ids and numbers in the same order for the same seed; unique within one instance only.

    Args:
        seed: chooses the sequence.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable is what it is for

    @override
    def new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    @override
    def fraction(self) -> float:
        return self._random.random()
