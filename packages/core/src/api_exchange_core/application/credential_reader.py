"""Reading a tenant's credentials: often, and without asking the database each time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.domain.credentials import Credentials, SystemName
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.credential_store import CredentialStore, SealedCredentials
from api_exchange_core.ports.sealer import Sealer

CREDENTIALS_MEMORY: Final = timedelta(seconds=30)
"""How long an answer of the store holds: so soon does a change reach a process that runs."""

_MOST_REMEMBERED: Final = 10_000


def binding(tenant_id: TenantId, system: SystemName) -> tuple[str, ...]:
    """What credentials are bound to when they are sealed: those of one tenant are no use as another's."""
    return ("credentials", tenant_id, system)


@dataclass(frozen=True, slots=True)
class _Remembered:
    at: datetime
    credentials: Credentials | None


@dataclass(slots=True)
class CredentialReader:
    """Unseals what is kept, and remembers it for a while, unsealed: in the memory of this process, and nowhere else.

    Args:
        store: keeps them.
        sealer: opens them.
        clock: tells the time.
        memory: how long an answer holds, that there are none as well.
    """

    store: CredentialStore = field(repr=False)
    sealer: Sealer = field(repr=False)
    clock: Clock = field(repr=False)
    memory: timedelta = CREDENTIALS_MEMORY
    _known: dict[tuple[TenantId, SystemName], _Remembered] = field(default_factory=dict, repr=False)

    def read(self, tenant_id: TenantId, system: SystemName) -> Credentials | None:
        """What the tenant has at that system, as it was at most `memory` ago; None if it has nothing.

        Raises:
            PermanentError: it cannot be unsealed; the text says with which key it was sealed.
            TransientError: the store or the keys are out of reach.
        """
        now = self.clock.now()
        known = self._known.get((tenant_id, system))
        if known is None or not known.at <= now < known.at + self.memory:
            known = _Remembered(now, self._unsealed(self.store.get(tenant_id, system=system), now))
            if len(self._known) >= _MOST_REMEMBERED:
                self._make_room(now)
            self._known[tenant_id, system] = known
        return None if known.credentials is None else known.credentials.at(now)

    def _make_room(self, now: datetime) -> None:
        """Forget what is old or nothing first, so that a stranger who names tenants that are none pushes out none."""
        kept = {
            key: one
            for key, one in list(self._known.items())  # at once, as other threads add to it meanwhile
            if one.credentials is not None and now < one.at + self.memory
        }
        self._known = {} if len(kept) > _MOST_REMEMBERED // 2 else kept

    def _unsealed(self, kept: SealedCredentials | None, now: datetime) -> Credentials | None:
        if kept is None:
            return None
        kept = kept.at(now)  # nobody needs to keep a key for what is over
        bound_to, previous = binding(kept.tenant_id, kept.system), kept.previous
        return Credentials(
            version=kept.version,
            current=self.sealer.unseal(kept.sealed, bound_to=bound_to),
            previous=None if previous is None else self.sealer.unseal(previous, bound_to=bound_to),
            previous_until=kept.previous_until,
        )
