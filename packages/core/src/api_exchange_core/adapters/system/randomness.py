"""The machine's randomness."""

from __future__ import annotations

import random
from uuid import uuid4

from typing_extensions import override

from api_exchange_core.ports.randomness import Randomness


class SystemRandomness(Randomness):
    """Random ids (version 4 UUIDs) and jitter."""

    @override
    def new_id(self) -> str:
        return str(uuid4())

    @override
    def fraction(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing
