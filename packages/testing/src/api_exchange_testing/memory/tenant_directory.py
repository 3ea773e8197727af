"""Tenants in a dictionary."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime

from typing_extensions import override

from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.tenant_directory import TenantDirectory


class InMemoryTenantDirectory(TenantDirectory):
    """Knows the tenants that were added, and the hashes of their API keys."""

    def __init__(self) -> None:
        self._tenants: dict[TenantId, Tenant] = {}
        self._owners: dict[str, TenantId] = {}
        self._lock = threading.Lock()

    @override
    def get(self, tenant_id: TenantId) -> Tenant | None:
        with self._lock:
            return self._tenants.get(tenant_id)

    @override
    def all(self) -> Sequence[Tenant]:
        with self._lock:
            return [self._tenants[id_] for id_ in sorted(self._tenants)]

    @override
    def add(self, tenant_ids: Iterable[TenantId], *, now: datetime) -> None:
        with self._lock:
            for id_ in tenant_ids:
                self._tenants.setdefault(id_, Tenant(id_))

    @override
    def set_enabled(self, tenant_id: TenantId, *, enabled: bool) -> None:
        with self._lock:
            self._check_known(tenant_id)
            self._tenants[tenant_id] = Tenant(tenant_id, enabled=enabled)

    @override
    def add_api_key(self, tenant_id: TenantId, *, key_hash: str, now: datetime) -> None:
        with self._lock:
            self._check_known(tenant_id)
            if self._owners.setdefault(key_hash, tenant_id) != tenant_id:
                raise TenantError(
                    f"the API key for tenant {tenant_id!r} belongs to another tenant: make a new one"
                )

    @override
    def by_api_key(self, key_hash: str) -> Tenant | None:
        with self._lock:
            owner = self._owners.get(key_hash)
            return None if owner is None else self._tenants[owner]

    def _check_known(self, tenant_id: TenantId) -> None:
        if tenant_id not in self._tenants:
            raise TenantError(f"tenant {tenant_id!r} is unknown: add it first")
