"""Tenants and API keys in tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, delete, func, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.across_tenants import reading, writing
from api_exchange_core.adapters.sql.many_rows import InsertRows
from api_exchange_core.adapters.sql.schema import api_keys, tenants
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant, TenantAccount, folded
from api_exchange_core.ports.tenant_directory import TenantDirectory

_TENANTS = select(tenants.c.id, tenants.c.enabled, tenants.c.config, tenants.c.erased_at)
_TENANT = _TENANTS.where(tenants.c.id == bindparam("tenant_id"))
_TENANT_LOCKED = _TENANT.with_for_update()
_OWNER = _TENANTS.join_from(tenants, api_keys).where(api_keys.c.key_hash == bindparam("key_hash"))
_ACCOUNTS = (
    _TENANTS.add_columns(tenants.c.created_at, func.count(api_keys.c.key_hash).label("api_keys"))
    .join_from(tenants, api_keys, isouter=True)
    .group_by(tenants.c.id)
)

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
        return None if row is None else _tenant(row)

    @override
    def all(self) -> Sequence[Tenant]:
        with reading(self.engine) as connection:
            rows = connection.execute(_TENANTS).all()
        # Sorted here: the database's own order of texts depends on its locale.
        return sorted((_tenant(row) for row in rows), key=lambda tenant: tenant.id)

    @override
    def accounts(self) -> Sequence[TenantAccount]:
        with reading(self.engine) as connection:
            rows = connection.execute(_ACCOUNTS).all()
        accounts = [TenantAccount(_tenant(row), row.created_at, row.api_keys) for row in rows]
        return sorted(accounts, key=lambda account: account.tenant.id)

    @override
    def add(self, tenant_ids: Iterable[TenantId], *, now: datetime) -> None:
        wanted = sorted(set(tenant_ids))
        if not wanted:
            return
        rows: list[dict[str, object]] = [
            {
                "id": id_,
                "enabled": True,
                "created_at": now,
                "folded_id": folded(id_),
                "config": {},
                "erased_at": None,
            }
            for id_ in wanted
        ]
        with writing(self.engine) as connection:
            if _ADD.run(connection, rows) < len(rows):
                self._refuse_alike(connection, wanted)

    def _refuse_alike(self, connection: Connection, wanted: Sequence[TenantId]) -> None:
        by_folded = select(tenants.c.folded_id, tenants.c.id)
        known = {row.folded_id: row.id for row in connection.execute(by_folded)}
        for id_ in wanted:
            if known[folded(id_)] != id_:
                raise TenantError(
                    f"tenant {id_!r} differs only in case from tenant {known[folded(id_)]!r}, which some file systems "
                    "and collations ignore: give it another id"
                )

    @override
    def set_enabled(self, tenant_id: TenantId, *, enabled: bool) -> None:
        with self._changing(tenant_id) as connection:
            connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(enabled=enabled))

    @override
    def configure(self, tenant_id: TenantId, config: Mapping[str, JsonValue]) -> None:
        with self._changing(tenant_id) as connection:
            connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(config=dict(config)))

    @override
    def mark_erased(self, tenant_id: TenantId, *, now: datetime) -> None:
        with writing(self.engine) as connection:
            row = connection.execute(_TENANT_LOCKED, {"tenant_id": tenant_id}).first()
            if row is None:
                raise _unknown(tenant_id)
            if row.enabled:
                raise TenantError(f"tenant {tenant_id!r} is enabled: disable it before it is erased")
            connection.execute(delete(api_keys).where(api_keys.c.tenant_id == tenant_id))
            connection.execute(
                update(tenants)
                .where(tenants.c.id == tenant_id)
                .values(config={}, erased_at=now if row.erased_at is None else row.erased_at)
            )

    @override
    def add_api_key(self, tenant_id: TenantId, *, key_hash: str, now: datetime) -> None:
        with self._changing(tenant_id) as connection:
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
        return None if row is None else _tenant(row)

    @contextmanager
    def _changing(self, tenant_id: TenantId) -> Iterator[Connection]:
        """A transaction that changes what belongs to a tenant, which nobody erases meanwhile."""
        with writing(self.engine) as connection:
            row = connection.execute(_TENANT_LOCKED, {"tenant_id": tenant_id}).first()
            if row is None:
                raise _unknown(tenant_id)
            if row.erased_at is not None:
                raise _erased(tenant_id)
            yield connection


def _tenant(row: Row[*tuple[Any, ...]]) -> Tenant:
    return Tenant(row.id, enabled=row.enabled, config=row.config, erased_at=row.erased_at)


def _unknown(tenant_id: TenantId) -> TenantError:
    return TenantError(f"tenant {tenant_id!r} is unknown: add it first")


def _erased(tenant_id: TenantId) -> TenantError:
    return TenantError(f"tenant {tenant_id!r} was erased, and its id is not used again: add another one")
