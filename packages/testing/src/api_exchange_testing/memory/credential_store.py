"""Sealed credentials in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.credential_store import CredentialStore, SealedCredentials
from api_exchange_testing.memory.unit_of_work import InMemoryStore


@dataclass(frozen=True, slots=True)
class InMemoryCredentialStore(CredentialStore):
    """The credentials in a store.

    Args:
        store: whose rows they are among.
    """

    store: InMemoryStore

    @override
    def get(self, tenant_id: TenantId, *, system: SystemName) -> SealedCredentials | None:
        with self.store.changed:
            return self.store.of(tenant_id).credentials.get(system)

    @override
    def write(self, credentials: SealedCredentials) -> None:
        with self.store.changed:
            rows = self.store.of(credentials.tenant_id).credentials
            kept = rows.get(credentials.system)
            if credentials.version != (1 if kept is None else kept.version + 1):
                raise LostRaceError(
                    f"credentials of tenant {credentials.tenant_id!r} for {credentials.system!r} were changed by "
                    "somebody else"
                )
            rows[credentials.system] = credentials

    @override
    def remove(self, tenant_id: TenantId, *, system: SystemName) -> bool:
        with self.store.changed:
            return self.store.of(tenant_id).credentials.pop(system, None) is not None

    @override
    def page(
        self,
        *,
        tenant_id: TenantId | None = None,
        after: SealedCredentials | None = None,
        limit: int,
    ) -> Sequence[SealedCredentials]:
        with self.store.changed:
            kept = [
                one for rows in self.store.by_tenant(tenant_id).values() for one in rows.credentials.values()
            ]
        ordered = sorted(kept, key=_place)
        return [one for one in ordered if after is None or _place(one) > _place(after)][:limit]


def _place(credentials: SealedCredentials) -> tuple[str, str]:
    return credentials.tenant_id, credentials.system
