"""Tenants, and the one on whose behalf the current code runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId, tenant_id

_current: ContextVar[TenantId | None] = ContextVar("api_exchange_tenant", default=None)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer. A disabled one keeps its data, and nothing is processed for it.

    Args:
        id: of the customer.
        enabled: whether anything is processed for it.
        config: the values of its configuration, as JSON; what they mean is for the exchange's model to say.
        erased_at: since when nothing of it is kept but its id, which no other tenant gets.
    """

    id: TenantId
    enabled: bool = True
    config: Mapping[str, JsonValue] = field(default_factory=dict, hash=False, repr=False)
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TenantAccount:
    """What operators see of a tenant.

    Args:
        tenant: as it is.
        created_at: when it was made known.
        api_keys: how many API keys prove it.
    """

    tenant: Tenant
    created_at: datetime
    api_keys: int


@contextmanager
def tenant_context(tenant: str) -> Iterator[TenantId]:
    """Work on behalf of *tenant* within the block; threads and asyncio tasks keep theirs apart.

    Raises:
        TenantError: *tenant* is no tenant id.
    """
    token = _current.set(tenant_id(tenant))
    try:
        yield TenantId(tenant)
    finally:
        _current.reset(token)


def current_tenant() -> TenantId:
    """The tenant of the innermost `tenant_context`.

    Raises:
        TenantError: there is none; nothing happens without a tenant.
    """
    tenant = _current.get()
    if tenant is None:
        raise TenantError(
            "no tenant: wrap the call in `with tenant_context('...'):`; inside functions it is set already"
        )
    return tenant


def folded(tenant_id: str) -> str:
    """What two tenant ids that differ only in case have in common.

    Some file systems and collations take them for the same name, so no two tenants share it.
    """
    return tenant_id.lower()
