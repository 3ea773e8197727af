"""What operators change of tenants."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from api_exchange_core.domain.errors import DeclarationError, TenantError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant_config import checked_config
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.tenant_directory import TenantDirectory


@dataclass(frozen=True, slots=True)
class AddTenants:
    """Makes tenants known while the exchange runs."""

    tenants: TenantDirectory
    clock: Clock

    def add(self, tenant_ids: Sequence[TenantId]) -> Sequence[TenantId]:
        """Add tenants, all or none.

        Returns:
            Those that were not known before.

        Raises:
            TenantError: one was erased, or differs from another only in case.
        """
        known = {tenant.id: tenant for tenant in self.tenants.all()}
        for id_ in tenant_ids:
            if id_ in known and known[id_].erased_at is not None:
                raise TenantError(
                    f"tenant {id_!r} was erased, and its id is not used again: choose another one"
                )
        self.tenants.add(tenant_ids, now=self.clock.now())
        return [id_ for id_ in dict.fromkeys(tenant_ids) if id_ not in known]


@dataclass(frozen=True, slots=True)
class ConfigureTenant:
    """Sets what is configured for a tenant, if it fits the exchange's model.

    Args:
        tenants: where it is kept.
        model: what the exchange declares; None if it declares nothing.
    """

    tenants: TenantDirectory
    model: type[BaseModel] | None

    def change(
        self, tenant_id: TenantId, *, set_: Mapping[str, object], unset: Collection[str] = ()
    ) -> Mapping[str, JsonValue]:
        """Change some values and leave the others.

        Returns:
            All values, as they are now.

        Raises:
            TenantError: the tenant is unknown or was erased.
            DeclarationError: the exchange declares no configuration.
            InvalidPayloadError: the values do not fit; nothing was changed.
        """
        tenant = self.tenants.get(tenant_id)
        if tenant is None:
            raise TenantError(f"tenant {tenant_id!r} is unknown: add it first")
        kept = {name: value for name, value in tenant.config.items() if name not in unset}
        return self.replace(tenant_id, {**kept, **set_})

    def replace(self, tenant_id: TenantId, values: Mapping[str, object]) -> Mapping[str, JsonValue]:
        """Set all values anew.

        Returns:
            All values, as they are now.

        Raises:
            TenantError: the tenant is unknown or was erased.
            DeclarationError: the exchange declares no configuration.
            InvalidPayloadError: the values do not fit; nothing was changed.
        """
        if self.model is None:
            raise DeclarationError(
                "the exchange declares no configuration of tenants: Exchange(..., tenant_config=ShopConfig)"
            )
        config = checked_config(self.model, values)
        self.tenants.configure(tenant_id, config)
        return config
