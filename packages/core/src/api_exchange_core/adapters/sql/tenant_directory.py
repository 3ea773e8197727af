"""Tenants and API keys in tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, bindparam, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.across_tenants import reading, writing, writing_once
from api_exchange_core.adapters.sql.many_rows import InsertRows
from api_exchange_core.adapters.sql.schema import api_keys, tenants
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.tenant_directory import TenantDirectory

_TENANTS = select(tenants.c.id, tenants.c.enabled)
_TENANT = _TENANTS.where(tenants.c.id == bindparam("tenant_id"))
_OWNER = _TENANTS.join_from(tenants, api_keys).where(api_keys.c.key_hash == bindparam("key_hash"))

_ADD = InsertRows(tenants, lambda insert: insert.on_conflict_do_nothing())
_ADD_KEY = InsertRows(api_keys, lambda insert: insert.on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class SqlTenantDirectory(TenantDirectory):
    """The tenants of a database."""

    engine: Engine

    @override
    def get(self, tenant_id: TenantId) -> Tenant | None:
        with reading(self.engine) as connection:
            row = connection.execute(_TENANT, {"tenant_id": tenant_id}).first()
        return None if row is None else Tenant(row.id, enabled=row.enabled)

    @override
    def all(self) -> Sequence[Tenant]:
        with reading(self.engine) as connection:
            rows = connection.execute(_TENANTS).all()
        # Sorted here: the database's own order of texts depends on its locale.
        return sorted((Tenant(row.id, enabled=row.enabled) for row in rows), key=lambda tenant: tenant.id)

    @override
    def add(self, tenant_ids: Iterable[TenantId], *, now: datetime) -> None:
        rows = [{"id": id_, "enabled": True, "created_at": now} for id_ in sorted(set(tenant_ids))]
        if rows:
            with writing_once(self.engine) as connection:
                _ADD.run(connection, rows)

    @override
    def set_enabled(self, tenant_id: TenantId, *, enabled: bool) -> None:
        with writing_once(self.engine) as connection:
            found = connection.execute(
                update(tenants).where(tenants.c.id == tenant_id).values(enabled=enabled)
            )
        if found.rowcount == 0:
            raise _unknown(tenant_id)

    @override
    def add_api_key(self, tenant_id: TenantId, *, key_hash: str, now: datetime) -> None:
        with writing(self.engine) as connection:
            if connection.execute(_TENANT, {"tenant_id": tenant_id}).first() is None:
                raise _unknown(tenant_id)
            _ADD_KEY.run(connection, [{"key_hash": key_hash, "tenant_id": tenant_id, "created_at": now}])
            owner = connection.execute(_OWNER, {"key_hash": key_hash}).one()
        if owner.id != tenant_id:
            raise TenantError(
                f"the API key for tenant {tenant_id!r} belongs to another tenant: make a new one"
            )

    @override
    def by_api_key(self, key_hash: str) -> Tenant | None:
        with reading(self.engine) as connection:
            row = connection.execute(_OWNER, {"key_hash": key_hash}).first()
        return None if row is None else Tenant(row.id, enabled=row.enabled)


def _unknown(tenant_id: TenantId) -> TenantError:
    return TenantError(f"tenant {tenant_id!r} is unknown: add it first")
