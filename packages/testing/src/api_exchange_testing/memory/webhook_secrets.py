"""Secrets of webhooks in memory."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.webhook_secrets import WebhookSecrets


class InMemoryWebhookSecrets(WebhookSecrets):
    """The secrets that a test has set."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str | None, str], list[bytes]] = {}

    def set(self, tenant: str | None, system: str, *secrets: str) -> None:
        """Let *secrets* be in force, the current one first; none withdraws them.

        Args:
            tenant: whose; None for those that all tenants share.
            system: who signs.
            secrets: as the sender shows them.
        """
        self._secrets[tenant, system] = [secret.encode() for secret in secrets]

    @override
    def secrets_of(self, tenant_id: TenantId | None, *, system: str) -> Sequence[bytes]:
        return list(self._secrets.get((tenant_id, system), ()))
