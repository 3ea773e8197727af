"""Sealed credentials in a table: a tenant's functions read their own, operators change those of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, bindparam, delete, select, tuple_, update
from typing_extensions import override

from api_exchange_core.adapters.sql import across_tenants, report_scope
from api_exchange_core.adapters.sql.many_rows import InsertRows
from api_exchange_core.adapters.sql.schema import credentials as rows
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.credential_store import CredentialStore, SealedCredentials

_is_named = (rows.c.tenant_id == bindparam("of_tenant"), rows.c.system == bindparam("of_system"))
_GET = select(rows).where(*_is_named)
_REMOVE = delete(rows).where(*_is_named)
_REPLACE = update(rows).where(*_is_named, rows.c.version == bindparam("on_version"))
_ADD = InsertRows(rows, lambda insert: insert.on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class SqlCredentialStore(CredentialStore):
    """The credentials of a database.

    Args:
        engine: of the database.
    """

    engine: Engine

    @override
    def get(self, tenant_id: TenantId, *, system: SystemName) -> SealedCredentials | None:
        with report_scope.reading(self.engine, tenant_id) as connection:
            row = connection.execute(_GET, {"of_tenant": tenant_id, "of_system": system}).first()
        return None if row is None else _credentials(row)

    @override
    def write(self, credentials: SealedCredentials) -> None:
        row = {
            "tenant_id": credentials.tenant_id,
            "system": credentials.system,
            "version": credentials.version,
            "sealed": credentials.sealed,
            "set_at": credentials.set_at,
            "set_by": credentials.set_by,
            "previous": credentials.previous,
            "previous_until": credentials.previous_until,
        }
        named = {"of_tenant": credentials.tenant_id, "of_system": credentials.system}
        with across_tenants.writing(self.engine) as connection:
            if credentials.version == 1:
                written = _ADD.run(connection, [row])
            else:
                given = {**named, "on_version": credentials.version - 1}
                written = connection.execute(_REPLACE.values(row), given).rowcount
        if written != 1:
            raise LostRaceError(
                f"credentials of tenant {credentials.tenant_id!r} for {credentials.system!r} were changed by somebody "
                "else: look at them, and try again"
            )

    @override
    def remove(self, tenant_id: TenantId, *, system: SystemName) -> bool:
        with across_tenants.writing(self.engine) as connection:
            removed = connection.execute(_REMOVE, {"of_tenant": tenant_id, "of_system": system})
            return removed.rowcount == 1

    @override
    def page(
        self,
        *,
        tenant_id: TenantId | None = None,
        after: SealedCredentials | None = None,
        limit: int,
    ) -> Sequence[SealedCredentials]:
        wanted = select(rows).order_by(rows.c.tenant_id, rows.c.system).limit(limit)
        if tenant_id is not None:
            wanted = wanted.where(rows.c.tenant_id == tenant_id)
        if after is not None:
            wanted = wanted.where(tuple_(rows.c.tenant_id, rows.c.system) > (after.tenant_id, after.system))
        with report_scope.reading(self.engine, tenant_id) as connection:
            return [_credentials(row) for row in connection.execute(wanted)]


def _credentials(row: Row[Any]) -> SealedCredentials:
    return SealedCredentials(
        tenant_id=row.tenant_id,
        system=row.system,
        version=row.version,
        sealed=row.sealed,
        set_at=row.set_at,
        set_by=row.set_by,
        previous=row.previous,
        previous_until=row.previous_until,
    )
