"""Letting in known tenants only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel

from api_exchange_core.domain.errors import DeferError, ErasedTenantError, TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.domain.tenant_config import WAIT_FOR_CONFIG, config_of
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.tenant_directory import TenantDirectory

_MOST_REMEMBERED = 10_000
GATE_MEMORY = timedelta(seconds=5)
"""How long an answer of the directory holds."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """An answer of the directory."""

    at: datetime
    tenant: Tenant
    misfit: str | None
    """What is wrong with its configuration."""


@dataclass(slots=True)
class TenantGate:
    """Remembers for a while which tenants may pass, so that not every message asks the directory.

    Args:
        directory: knows the tenants.
        clock: tells the time.
        memory: how long an answer holds; a tenant that is disabled stops within this time. That there is none is
            not remembered: once added, it passes.
        config_model: what the configuration of a tenant must fit before anything is done for it.
    """

    directory: TenantDirectory
    clock: Clock
    memory: timedelta = GATE_MEMORY
    config_model: type[BaseModel] | None = None
    _known: dict[TenantId, _Remembered] = field(default_factory=dict)

    def admit(self, tenant_id: TenantId) -> Tenant:
        """The tenant, if it is known and enabled.

        Raises:
            ErasedTenantError: nothing of it is to be kept.
            TenantError: it is unknown or disabled.
            DeferError: its configuration does not fit the exchange's model.
            TransientError: the directory could not be asked.
        """
        remembered = self._remembered(tenant_id)
        if remembered is None:
            raise TenantError(
                f"tenant {tenant_id!r} is unknown: declare it in Exchange(tenants=[...]) or add it"
            )
        if remembered.tenant.erased_at is not None:
            raise ErasedTenantError(f"tenant {tenant_id!r} was erased")
        if not remembered.tenant.enabled:
            raise TenantError(f"tenant {tenant_id!r} is disabled")
        if remembered.misfit is not None:
            raise DeferError(remembered.misfit, delay=WAIT_FOR_CONFIG)
        return remembered.tenant

    def is_erased(self, tenant_id: TenantId) -> bool:
        """Whether what was begun for the tenant must not be written any more.

        Raises:
            TransientError: the directory could not be asked.
        """
        remembered = self._remembered(tenant_id)
        return remembered is not None and remembered.tenant.erased_at is not None

    def _remembered(self, tenant_id: TenantId) -> _Remembered | None:
        now = self.clock.now()
        remembered = self._known.get(tenant_id)
        if remembered is not None and remembered.at <= now < remembered.at + self.memory:
            return remembered
        tenant = self.directory.get(tenant_id)
        if tenant is None:
            return None
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        remembered = self._known[tenant_id] = _Remembered(now, tenant, self._misfit(tenant))
        return remembered

    def _misfit(self, tenant: Tenant) -> str | None:
        if self.config_model is None or not tenant.enabled:
            return None
        try:
            config_of(tenant.id, tenant.config, self.config_model)
        except DeferError as error:
            return str(error)
        return None
