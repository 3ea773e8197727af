"""The machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime

from typing_extensions import override

from api_exchange_core.ports.clock import Clock


class SystemClock(Clock):
    """Tells the machine's time. Machines that share a database should keep theirs within a second (NTP)."""

    @override
    def now(self) -> datetime:
        return datetime.now(UTC)
