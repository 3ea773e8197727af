"""Tenants, and the one on whose behalf the current code runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import TenantId, tenant_id

_current: ContextVar[TenantId | None] = ContextVar("api_exchange_tenant", default=None)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer. A disabled one keeps its data, and nothing is processed for it."""

    id: TenantId
    enabled: bool = True


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
