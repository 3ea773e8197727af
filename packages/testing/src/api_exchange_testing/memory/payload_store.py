"""Contents of large messages in a dictionary."""

from __future__ import annotations

import threading
from collections import defaultdict
from itertools import islice

from typing_extensions import override

from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.payload_store import PayloadStore


class InMemoryPayloadStore(PayloadStore):
    """Keeps each tenant's contents apart, by their digest."""

    def __init__(self) -> None:
        self._contents: defaultdict[TenantId, dict[str, bytes]] = defaultdict(dict)
        self._lock = threading.Lock()

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        claim = PayloadClaim.to(content)
        with self._lock:
            self._contents[tenant_id][claim.digest] = content
        return claim

    @override
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        with self._lock:
            content = self._contents[tenant_id].get(claim.digest)
        if content is not None and not claim.fits(content):
            raise PermanentError(f"content {claim.digest} of tenant {tenant_id!r} is not what it was")
        return content

    @override
    def held(self, tenant_id: TenantId) -> int:
        with self._lock:
            return len(self._contents[tenant_id])

    @override
    def erase(self, tenant_id: TenantId, *, limit: int) -> int:
        with self._lock:
            contents = self._contents[tenant_id]
            doomed = list(islice(contents, limit))
            for digest in doomed:
                del contents[digest]
            return len(doomed)

    def damage(self, tenant_id: TenantId, claim: PayloadClaim) -> None:
        """Change what is kept for *claim*, as a disk may."""
        with self._lock:
            self._contents[tenant_id][claim.digest] = b"something else"
