"""Which tenants there are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant, TenantAccount


class TenantDirectory(Protocol):
    """The tenants, and the API keys that prove them. Keys are known by their SHA-256 only."""

    @abstractmethod
    def get(self, tenant_id: TenantId) -> Tenant | None:
        """The tenant with that id; None if there is none."""

    @abstractmethod
    def all(self) -> Sequence[Tenant]:
        """All tenants, by id."""

    @abstractmethod
    def add(self, tenant_ids: Iterable[TenantId], *, now: datetime) -> None:
        """Make tenants known, all or none; those that are known stay as they are, disabled and erased ones included.

        Raises:
            TenantError: an id differs only in case from another one's, of these or of a known tenant.
        """

    @abstractmethod
    def set_enabled(self, tenant_id: TenantId, *, enabled: bool) -> None:
        """Enable or disable a tenant.

        Raises:
            TenantError: there is none with that id, or it was erased.
        """

    @abstractmethod
    def configure(self, tenant_id: TenantId, config: Mapping[str, JsonValue]) -> None:
        """Set all of a tenant's configuration. What it means is checked by those who know the exchange's model.

        Raises:
            TenantError: there is no such tenant, or it was erased.
        """

    @abstractmethod
    def mark_erased(self, tenant_id: TenantId, *, now: datetime) -> None:
        """Forget all of a tenant but its id, its API keys included; its id is kept, so that nobody else gets it.

        Raises:
            TenantError: there is none with that id, or it is enabled.
        """

    @abstractmethod
    def accounts(self) -> Sequence[TenantAccount]:
        """All tenants by id, as operators see them."""

    @abstractmethod
    def add_api_key(self, tenant_id: TenantId, *, key_hash: str, now: datetime) -> None:
        """Accept the API key with that SHA-256, in hexadecimal, as proof of the tenant.

        Raises:
            TenantError: there is no such tenant, it was erased, or the key belongs to another.
        """

    @abstractmethod
    def by_api_key(self, key_hash: str) -> Tenant | None:
        """The tenant whose API key has that SHA-256; None if no tenant's has."""
