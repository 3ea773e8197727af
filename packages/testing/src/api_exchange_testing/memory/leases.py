"""Leases in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from api_exchange_core.ports.leases import Leases

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Lease:
    """Who holds a name until when, and when its work was last done."""

    owner: str | None = None
    until: datetime = _NEVER
    last_run_at: datetime | None = None


class InMemoryLeases(Leases):
    """The leases of all who share this object."""

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}
        self._lock = threading.Lock()

    @override
    def take(
        self, name: str, *, owner: str, now: datetime, until: datetime, every: timedelta = timedelta(0)
    ) -> bool:
        with self._lock:
            lease = self._leases.get(name, _Lease())
            is_held = lease.until > now and lease.owner != owner
            ran_lately = lease.last_run_at is not None and lease.last_run_at > now - every
            if is_held or ran_lately:
                return False
            self._leases[name] = replace(lease, owner=owner, until=until)
            return True

    @override
    def release(self, name: str, *, owner: str, ran_at: datetime | None = None) -> None:
        with self._lock:
            lease = self._leases.get(name)
            if lease is not None and lease.owner == owner:
                last_run_at = lease.last_run_at if ran_at is None else ran_at
                self._leases[name] = _Lease(last_run_at=last_run_at)
