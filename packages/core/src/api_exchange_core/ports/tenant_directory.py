"""Which tenants there are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant


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
        """Make tenants known; those that are known stay as they are, disabled ones included."""

    @abstractmethod
    def set_enabled(self, tenant_id: TenantId, *, enabled: bool) -> None:
        """Enable or disable a tenant.

        Raises:
            TenantError: there is none with that id.
        """

    @abstractmethod
    def add_api_key(self, tenant_id: TenantId, *, key_hash: str, now: datetime) -> None:
        """Accept the API key with that SHA-256, in hexadecimal, as proof of the tenant.

        Raises:
            TenantError: there is no such tenant, or the key belongs to another.
        """

    @abstractmethod
    def by_api_key(self, key_hash: str) -> Tenant | None:
        """The tenant whose API key has that SHA-256; None if no tenant's has."""
