"""Waiting."""

from __future__ import annotations

import time
from datetime import timedelta


def pause(length: timedelta) -> None:
    """Let *length* pass."""
    time.sleep(length.total_seconds())
