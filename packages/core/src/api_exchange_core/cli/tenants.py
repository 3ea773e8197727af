"""The tenant that a command is asked about."""

from __future__ import annotations

from api_exchange_core.domain.names import TenantId, tenant_id


def wanted_tenant(name: str | None) -> TenantId | None:
    """The tenant called *name*; None, which is all of them, if there is none.

    Raises:
        TenantError: it cannot be a tenant's id.
    """
    return None if name is None else tenant_id(name)
