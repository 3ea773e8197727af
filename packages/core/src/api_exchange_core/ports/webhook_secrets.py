"""The secrets that senders of webhooks sign with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from api_exchange_core.domain.names import TenantId


class WebhookSecrets(Protocol):
    """Knows what a system signs with when it sends for a tenant."""

    @abstractmethod
    def secrets_of(self, tenant_id: TenantId | None, *, system: str) -> Sequence[bytes]:
        """The secrets that are in force, the current one first, and behind it those that are being rotated out.

        Nothing, if there are none; an unknown tenant is no error, and takes as long as a known one.

        Args:
            tenant_id: whose; None for those that the application shares between all its tenants.
            system: who signs, by the name that the function declares.

        Raises:
            TransientError: they could not be read.
        """
