"""Contents of large messages as files on the local disk."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from typing_extensions import override

from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId, tenant_id
from api_exchange_core.ports.payload_store import PayloadStore


@dataclass(frozen=True, slots=True)
class FilePayloadStore(PayloadStore):
    """A folder a tenant and a file a content, whole or not there at all.

    A content that is put again is as new by its time of change, so that a job that removes old files leaves it.

    Args:
        root: folder that holds one folder a tenant; for the owner only.
    """

    root: Path

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        claim = PayloadClaim.to(content)
        path = self._path(tenant_id, claim)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError as error:
            raise TransientError(f"contents of tenant {tenant_id!r}: {error.strerror}") from error
        return claim

    @override
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        try:
            content = self._path(tenant_id, claim).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TransientError(f"contents of tenant {tenant_id!r}: {error.strerror}") from error
        if not claim.fits(content):
            raise PermanentError(f"content {claim.digest} of tenant {tenant_id!r} is not what it was")
        return content

    @override
    def held(self, tenant_id: TenantId) -> int:
        return sum(1 for _ in self._folder(tenant_id).glob("*"))

    @override
    def erase(self, tenant_id: TenantId, *, limit: int) -> int:
        removed = 0
        folder = self._folder(tenant_id)
        try:
            for path in list(islice(folder.glob("*"), limit)):
                path.unlink(missing_ok=True)
                removed += 1
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        except OSError as error:
            raise TransientError(f"contents of tenant {tenant_id!r}: {error.strerror}") from error
        return removed

    def _folder(self, tenant: TenantId) -> Path:
        return self.root / tenant_id(tenant)

    def _path(self, tenant: TenantId, claim: PayloadClaim) -> Path:
        return self._folder(tenant) / claim.digest
