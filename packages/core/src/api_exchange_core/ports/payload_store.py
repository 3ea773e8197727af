"""Keeping contents that are too large for a queue."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.erasure import HeldApart


class PayloadStore(HeldApart, Protocol):
    """Contents by their digest, each tenant's apart.

    Many messages may claim the same content, so nobody takes one away by hand: a store lets them go by their age,
    which is to be longer than any message may wait, dead letters included. An erased tenant's go at once.
    """

    @abstractmethod
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        """Keep *content*; durable when this returns. The same content again is kept once, and as long as if new.

        Raises:
            TransientError: it may not be kept; putting it again is safe.
        """

    @abstractmethod
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        """The content of *claim*; None if the tenant has none such, or not any more.

        Raises:
            PermanentError: what is kept is not what is claimed.
            TransientError: the store could not be reached.
        """
