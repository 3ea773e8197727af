"""What operators change of credentials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.application.credential_reader import binding
from api_exchange_core.domain.credentials import MAX_CREDENTIALS_BYTES, SystemName
from api_exchange_core.domain.errors import LostRaceError, PermanentError, TenantError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.credential_store import CredentialStore, SealedCredentials
from api_exchange_core.ports.sealer import Sealer, key_id_of
from api_exchange_core.ports.tenant_directory import TenantDirectory

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class CredentialAccount:
    """What operators see of credentials: all but the credentials.

    Args:
        tenant_id: whose.
        system: at what.
        version: counts every change, from 1.
        key: id of the key that they are sealed with.
        set_at: when they were set.
        set_by: who set them.
        previous_key: id of the key of those before; None if none are accepted any more.
        previous_until: until when these are accepted; None: until they are retired.
    """

    tenant_id: TenantId
    system: SystemName
    version: int
    key: str | None
    set_at: datetime
    set_by: str
    previous_key: str | None
    previous_until: datetime | None


@dataclass(frozen=True, slots=True)
class KeepCredentials:
    """Sets, rotates, retires and removes the credentials of tenants.

    Args:
        store: keeps them.
        sealer: seals them.
        tenants: knows who can have any.
        clock: tells the time.
    """

    store: CredentialStore
    sealer: Sealer
    tenants: TenantDirectory
    clock: Clock

    def version(self, tenant_id: TenantId, system: SystemName) -> int:
        """The version that a change is to be made on; 0 if there are none yet.

        Raises:
            TenantError: the tenant is unknown or was erased.
        """
        self._check(tenant_id)
        kept = self.store.get(tenant_id, system=system)
        return 0 if kept is None else kept.version

    def set(
        self, tenant_id: TenantId, system: SystemName, secret: bytes, *, by: str, on_version: int
    ) -> CredentialAccount:
        """From now on use *secret* and accept nothing else.

        Args:
            tenant_id: whose.
            system: at what.
            secret: 1 to `MAX_CREDENTIALS_BYTES` bytes.
            by: who does this.
            on_version: what `version` said when the operator looked.

        Raises:
            LostRaceError: somebody else has changed them since.
            TenantError: the tenant is unknown or was erased.
            PermanentError: *secret* is empty or too large.
            DeclarationError: there is no key to seal with.
        """
        self._check(tenant_id)
        return self._write(self._sealed(tenant_id, system, secret, by=by, on_version=on_version))

    def rotate(
        self,
        tenant_id: TenantId,
        system: SystemName,
        secret: bytes,
        *,
        by: str,
        on_version: int,
        keep: timedelta | None = None,
    ) -> CredentialAccount:
        """From now on use *secret*, and accept from others what was used until now as well.

        Args:
            tenant_id: whose.
            system: at what.
            secret: 1 to `MAX_CREDENTIALS_BYTES` bytes.
            by: who does this.
            on_version: what `version` said when the operator looked.
            keep: for how long; None: until it is retired.

        Raises:
            LostRaceError: somebody else has changed them since.
            TenantError: the tenant is unknown or was erased.
            PermanentError: *secret* is empty or too large, there is nothing to rotate, or others before are still
                accepted, which would be refused from now on.
            DeclarationError: there is no key to seal with.
        """
        kept = self._kept(tenant_id, system)
        self._check_version(kept, on_version)
        now = self.clock.now()
        if kept.at(now).previous is not None:
            raise PermanentError(
                f"{named(kept)}: the previous ones are still accepted, and two are kept at most: once nobody uses "
                f"them, `api-exchange credentials retire {tenant_id} {system}`"
            )
        made = self._sealed(tenant_id, system, secret, by=by, on_version=on_version)
        until = None if keep is None else now + keep
        return self._write(replace(made, previous=kept.sealed, previous_until=until))

    def retire(self, tenant_id: TenantId, system: SystemName) -> bool:
        """Accept the previous credentials no longer; whether there were any.

        Raises:
            LostRaceError: somebody else has changed them at the same time.
            PermanentError: there are no credentials at all.
        """
        kept = self._kept(tenant_id, system)
        if kept.previous is None:
            return False
        self._write(replace(kept, version=kept.version + 1, previous=None, previous_until=None))
        return True

    def remove(self, tenant_id: TenantId, system: SystemName) -> bool:
        """Forget all of a tenant's credentials at a system; whether there were any."""
        return self.store.remove(tenant_id, system=system)

    def accounts(self, tenant_id: TenantId | None = None) -> Sequence[CredentialAccount]:
        """What there is, by tenant and system; of one tenant or of all."""
        now = self.clock.now()
        found = [_account(kept, now) for kept in all_credentials(self.store, tenant_id)]
        return sorted(found, key=lambda account: (account.tenant_id, account.system))

    def _sealed(
        self, tenant_id: TenantId, system: SystemName, secret: bytes, *, by: str, on_version: int
    ) -> SealedCredentials:
        if not 1 <= len(secret) <= MAX_CREDENTIALS_BYTES:
            raise PermanentError(
                f"credentials of {len(secret):,} bytes: they must have 1 to {MAX_CREDENTIALS_BYTES:,}"
            )
        return SealedCredentials(
            tenant_id=tenant_id,
            system=system,
            version=on_version + 1,
            sealed=self.sealer.seal(secret, bound_to=binding(tenant_id, system)),
            set_at=self.clock.now(),
            set_by=by,
        )

    def _write(self, credentials: SealedCredentials) -> CredentialAccount:
        self.store.write(credentials)
        return _account(credentials, self.clock.now())

    def _kept(self, tenant_id: TenantId, system: SystemName) -> SealedCredentials:
        self._check(tenant_id)
        kept = self.store.get(tenant_id, system=system)
        if kept is None:
            raise PermanentError(
                f"tenant {tenant_id!r} has no credentials for {system!r}: "
                f"`api-exchange credentials set {tenant_id} {system}` sets the first ones"
            )
        return kept

    def _check_version(self, kept: SealedCredentials, on_version: int) -> None:
        if kept.version != on_version:
            raise LostRaceError(f"{named(kept)} were changed by somebody else: look at them, and try again")

    def _check(self, tenant_id: TenantId) -> None:
        tenant = self.tenants.get(tenant_id)
        if tenant is None:
            raise TenantError(f"tenant {tenant_id!r} is unknown: add it first")
        if tenant.erased_at is not None:
            raise TenantError(f"tenant {tenant_id!r} was erased, and nothing is kept of it")


def all_credentials(store: CredentialStore, tenant_id: TenantId | None) -> Iterator[SealedCredentials]:
    """All that is kept, of one tenant or of all, read a hundred at a time."""
    last: SealedCredentials | None = None
    while page := store.page(tenant_id=tenant_id, after=last, limit=_PAGE):
        yield from page
        last = page[-1]


def _account(kept: SealedCredentials, now: datetime) -> CredentialAccount:
    kept = kept.at(now)
    return CredentialAccount(
        tenant_id=kept.tenant_id,
        system=kept.system,
        version=kept.version,
        key=key_id_of(kept.sealed),
        set_at=kept.set_at,
        set_by=kept.set_by,
        previous_key=None if kept.previous is None else key_id_of(kept.previous),
        previous_until=kept.previous_until,
    )


def named(kept: SealedCredentials) -> str:
    """What errors call them."""
    return f"credentials of tenant {kept.tenant_id!r} for {kept.system!r}"
