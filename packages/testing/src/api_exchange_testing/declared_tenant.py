"""On whose behalf a test acts that does not say so."""

from __future__ import annotations

from api_exchange_core import Exchange
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import TenantId, tenant_id


def declared_tenant(exchange: Exchange, named: str | None) -> TenantId:
    """The tenant that is *named*, or else the only one of *exchange*.

    Raises:
        TenantError: none is named, and the exchange has none or several.
    """
    if named is not None:
        return tenant_id(named)
    if len(exchange.tenants) != 1:
        raise TenantError(
            f"exchange {exchange.name!r} declares {len(exchange.tenants)} tenants: say tenant=... for which one"
        )
    return exchange.tenants[0]
