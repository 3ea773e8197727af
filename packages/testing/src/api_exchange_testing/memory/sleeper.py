"""Waiting on a virtual clock."""

from __future__ import annotations

from datetime import timedelta

from typing_extensions import override

from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_testing.memory.clock import VirtualClock


class VirtualSleeper(Sleeper):
    """Advances a clock instead of waiting.

    Args:
        clock: is advanced.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    @override
    def sleep(self, time: timedelta) -> None:
        self._clock.advance(time)

    @override
    async def sleep_async(self, time: timedelta) -> None:
        self._clock.advance(time)
