"""Tenants in a dictionary."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from typing_extensions import override

from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.json_value import JsonValue, json_value
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant, TenantAccount, folded
from api_exchange_core.ports.tenant_directory import TenantDirectory


class InMemoryTenantDirectory(TenantDirectory):
    """Knows the tenants that were added, and the hashes of their API keys."""

    def __init__(self) -> None:
        self._tenants: dict[TenantId, Tenant] = {}
        self._created: dict[TenantId, datetime] = {}
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
    def accounts(self) -> Sequence[TenantAccount]:
        with self._lock:
            owners = list(self._owners.values())
            return [
                TenantAccount(self._tenants[id_], self._created[id_], owners.count(id_))
                for id_ in sorted(self._tenants)
            ]

    @override
    def add(self, tenant_ids: Iterable[TenantId], *, now: datetime) -> None:
        wanted = sorted(set(tenant_ids))
        with self._lock:
            known = {folded(id_): id_ for id_ in self._tenants}
            for id_ in wanted:
                other = known.setdefault(folded(id_), id_)
                if other != id_:
                    raise TenantError(f"tenant {id_!r} differs only in case from tenant {other!r}")
            for id_ in wanted:
                self._tenants.setdefault(id_, Tenant(id_))
                self._created.setdefault(id_, now)

    @override
    def set_enabled(self, tenant_id: TenantId, *, enabled: bool) -> None:
        with self._lock:
            self._tenants[tenant_id] = replace(self._changeable(tenant_id), enabled=enabled)

    @override
    def configure(self, tenant_id: TenantId, config: Mapping[str, JsonValue]) -> None:
        kept = {name: json_value(value) for name, value in config.items()}
        with self._lock:
            self._tenants[tenant_id] = replace(self._changeable(tenant_id), config=kept)

    @override
    def mark_erased(self, tenant_id: TenantId, *, now: datetime) -> None:
        with self._lock:
            tenant = self._known(tenant_id)
            if tenant.enabled:
                raise TenantError(f"tenant {tenant_id!r} is enabled: disable it before it is erased")
            erased_at = now if tenant.erased_at is None else tenant.erased_at
            self._tenants[tenant_id] = Tenant(tenant_id, enabled=False, erased_at=erased_at)
            self._owners = {key: owner for key, owner in self._owners.items() if owner != tenant_id}

    @override
    def add_api_key(self, tenant_id: TenantId, *, key_hash: str, now: datetime) -> None:
        with self._lock:
            self._changeable(tenant_id)
            if self._owners.setdefault(key_hash, tenant_id) != tenant_id:
                raise TenantError(
                    f"the API key for tenant {tenant_id!r} belongs to another tenant: make a new one"
                )

    @override
    def by_api_key(self, key_hash: str) -> Tenant | None:
        with self._lock:
            owner = self._owners.get(key_hash)
            return None if owner is None else self._tenants[owner]

    def _known(self, tenant_id: TenantId) -> Tenant:
        if tenant_id not in self._tenants:
            raise TenantError(f"tenant {tenant_id!r} is unknown: add it first")
        return self._tenants[tenant_id]

    def _changeable(self, tenant_id: TenantId) -> Tenant:
        tenant = self._known(tenant_id)
        if tenant.erased_at is not None:
            raise TenantError(f"tenant {tenant_id!r} was erased, and its id is not used again")
        return tenant
