"""The credentials of tenants, sealed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCredentials:
    """What is kept of a tenant's credentials at one system.

    Args:
        tenant_id: whose.
        system: at what.
        version: counts every change, from 1.
        sealed: what is to be used.
        set_at: when that was set, aware UTC.
        set_by: who set it.
        previous: what it took the place of, as long as that is still accepted.
        previous_until: until when, aware UTC; None: until it is retired.

    Raises:
        ValueError: *version* is less than 1, or there is a time for what is not there.
    """

    tenant_id: TenantId
    system: SystemName
    version: int
    sealed: SealedText = field(repr=False)
    set_at: datetime
    set_by: str
    previous: SealedText | None = field(default=None, repr=False)
    previous_until: datetime | None = None

    def __post_init__(self) -> None:
        if self.version < 1:
            raise ValueError(f"versions of credentials count from 1, and this one is {self.version}")
        if self.previous is None and self.previous_until is not None:
            raise ValueError("there are no previous credentials whose time could end")

    def at(self, now: datetime) -> SealedCredentials:
        """These, without previous ones whose time is over."""
        if self.previous_until is None or now < self.previous_until:
            return self
        return replace(self, previous=None, previous_until=None)


class CredentialStore(Protocol):
    """Keeps one `SealedCredentials` a tenant and system. What is in them it cannot read."""

    @abstractmethod
    def get(self, tenant_id: TenantId, *, system: SystemName) -> SealedCredentials | None:
        """What is kept of that tenant at that system; None if nothing is.

        Raises:
            TransientError: the store could not be reached.
        """

    @abstractmethod
    def write(self, credentials: SealedCredentials) -> None:
        """Keep *credentials* in place of those of the version before; of version 1, where there are none.

        Raises:
            LostRaceError: others are there by now, or none are; nothing was changed.
            TransientError: the store could not be reached.
        """

    @abstractmethod
    def remove(self, tenant_id: TenantId, *, system: SystemName) -> bool:
        """Forget what is kept of that tenant at that system; whether there was anything.

        Raises:
            TransientError: the store could not be reached.
        """

    @abstractmethod
    def page(
        self,
        *,
        tenant_id: TenantId | None = None,
        after: SealedCredentials | None = None,
        limit: int,
    ) -> Sequence[SealedCredentials]:
        """Some of what is kept, in an order that the store chooses and keeps to.

        Args:
            tenant_id: of one tenant only.
            after: go on behind these, the last ones of the page before, whether they are still kept or not.
            limit: most of a page; fewer are the last ones.

        Raises:
            TransientError: the store could not be reached.
        """
