"""The machine's waiting."""

from __future__ import annotations

import asyncio
import time as machine
from datetime import timedelta

from typing_extensions import override

from api_exchange_core.ports.sleeper import Sleeper


class SystemSleeper(Sleeper):
    """Waits for as long as it says."""

    @override
    def sleep(self, time: timedelta) -> None:
        machine.sleep(time.total_seconds())

    @override
    async def sleep_async(self, time: timedelta) -> None:
        await asyncio.sleep(time.total_seconds())
