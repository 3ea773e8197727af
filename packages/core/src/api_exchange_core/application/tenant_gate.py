"""Letting in known tenants only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.tenant_directory import TenantDirectory

_MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class TenantGate:
    """Remembers for a while which tenants may pass, so that not every message asks the directory.

    Args:
        directory: knows the tenants.
        clock: tells the time.
        memory: how long an answer holds; a tenant that is disabled stops within this time. That there is none is
            not remembered: once added, it passes.
    """

    directory: TenantDirectory
    clock: Clock
    memory: timedelta = timedelta(seconds=5)
    _known: dict[TenantId, tuple[datetime, Tenant]] = field(default_factory=dict)

    def admit(self, tenant_id: TenantId) -> None:
        """Return if the tenant is known and enabled.

        Raises:
            TenantError: it is unknown or disabled.
            TransientError: the directory could not be asked.
        """
        tenant = self._tenant(tenant_id)
        if tenant is None:
            raise TenantError(
                f"tenant {tenant_id!r} is unknown: declare it in Exchange(tenants=[...]) or add it"
            )
        if not tenant.enabled:
            raise TenantError(f"tenant {tenant_id!r} is disabled")

    def _tenant(self, tenant_id: TenantId) -> Tenant | None:
        now = self.clock.now()
        remembered = self._known.get(tenant_id)
        if remembered is not None and remembered[0] <= now < remembered[0] + self.memory:
            return remembered[1]
        tenant = self.directory.get(tenant_id)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        if tenant is not None:
            self._known[tenant_id] = (now, tenant)
        return tenant
