"""Keeping tenants to their intake limits."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from api_exchange_core.application.request import Refusal, RequestRefusedError
from api_exchange_core.domain.intake_limit import IntakeLimit
from api_exchange_core.domain.names import FunctionName, TenantId
from api_exchange_core.ports.clock import Clock

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """The buckets of this process, one a function and tenant; only proven tenants have one."""

    clock: Clock
    _full_at: dict[tuple[FunctionName, TenantId], datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, limit: IntakeLimit, *, function: FunctionName, tenant_id: TenantId) -> None:
        """Take a token out of the bucket.

        Raises:
            RequestRefusedError: it is empty; says when to come back.
        """
        with self._lock:
            taken = limit.after(self._full_at.get((function, tenant_id), _LONG_AGO), self.clock.now())
            if isinstance(taken, datetime):
                self._full_at[function, tenant_id] = taken
                return
        raise RequestRefusedError(
            Refusal.TOO_MANY,
            f"more than {limit.requests:,} requests in {limit.per.total_seconds():g} seconds",
            retry_after(taken),
        )


def retry_after(wait: timedelta) -> dict[str, str]:
    """The header that says so, in whole seconds from 1 (RFC 9110, section 10.2.3)."""
    return {"Retry-After": str(max(1, math.ceil(wait.total_seconds())))}
