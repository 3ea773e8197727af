"""The secrets of webhooks, from where the other secrets of tenants and of the application are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from typing_extensions import override

from api_exchange_core.application.credential_reader import CREDENTIALS_MEMORY, CredentialReader
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.secret_source import SecretSource
from api_exchange_core.ports.webhook_secrets import WebhookSecrets

_PREFIX: Final = "API_EXCHANGE_WEBHOOK_"


def shared_secret_name(system: str) -> str:
    """The name under which the application's own secrets of *system* are kept, such as ``API_EXCHANGE_WEBHOOK_STRIPE``.

    What a function can declare has neither underscores nor capitals, so no two systems share a name.
    """
    return _PREFIX + system.upper().replace("-", "_")


@dataclass(frozen=True, slots=True)
class _Remembered:
    at: datetime
    secrets: Sequence[bytes]


@dataclass(slots=True)
class StoredWebhookSecrets(WebhookSecrets):
    """A tenant's secret is its credentials at the system, as they are; after a rotation those before count as well.

    What all tenants share is one secret of the process: a line each, the current one first. It is remembered as long
    as credentials are, so that requests of strangers do not become requests to whatever keeps the secrets.

    Args:
        credentials: of the tenants.
        shared: the secrets of the process.
        clock: tells the time.
    """

    credentials: CredentialReader
    shared: SecretSource = field(repr=False)
    clock: Clock
    _known: dict[str, _Remembered] = field(default_factory=dict, repr=False)  # of what functions declare: few

    @override
    def secrets_of(self, tenant_id: TenantId | None, *, system: str) -> Sequence[bytes]:
        if tenant_id is None:
            return self._of_all(system)
        try:
            found = self.credentials.read(tenant_id, SystemName(system))
        except PermanentError as error:
            # Until the operator has mended it, the sender is to keep its request and try again.
            raise TransientError(f"the secret of tenant {tenant_id!r} for {system!r}: {error}") from error
        return () if found is None else found.accepted

    def _of_all(self, system: str) -> Sequence[bytes]:
        now = self.clock.now()
        known = self._known.get(system)
        if known is None or not known.at <= now < known.at + CREDENTIALS_MEMORY:
            known = self._known[system] = _Remembered(now, self._asked(system))
        return known.secrets

    def _asked(self, system: str) -> Sequence[bytes]:
        try:
            text = self.shared.secret(shared_secret_name(system))
        except LookupError:
            return ()
        return [line for line in text.splitlines() if line]
