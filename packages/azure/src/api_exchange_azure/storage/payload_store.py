"""Contents of large messages in Blob Storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from typing_extensions import override

from api_exchange_azure.errors import code_of, translated
from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import TenantId, tenant_id
from api_exchange_core.ports.payload_store import PayloadStore

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

_MISSING_CONTAINER = "ContainerNotFound"


@dataclass(frozen=True, slots=True)
class BlobPayloadStore(PayloadStore):
    """A blob a content, ``<tenant>/<digest>``.

    A content that is put again is written again, so that its age begins anew: a lifecycle rule of the account that
    removes old blobs leaves it. Where the account keeps versions or deleted blobs, that rule is to remove these as
    well, or nothing is erased.

    It takes the role "Storage Blob Data Contributor" on the container.

    Args:
        container: a client of it.
    """

    container: ContainerClient

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        claim = PayloadClaim.to(content)
        with translated("write a blob", self._named):
            self.container.upload_blob(_path(tenant_id, claim), content, overwrite=True)
        return claim

    @override
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        with translated("read a blob", self._named):
            try:
                content = self.container.download_blob(_path(tenant_id, claim)).readall()
            except ResourceNotFoundError as error:
                if code_of(error) == _MISSING_CONTAINER:
                    raise
                return None
        if not claim.fits(content):
            raise PermanentError(f"content {claim.digest} of tenant {tenant_id!r} is not what it was")
        return content

    @override
    def held(self, tenant_id: TenantId) -> int:
        return sum(1 for _ in self._names(tenant_id))

    @override
    def erase(self, tenant_id: TenantId, *, limit: int) -> int:
        removed = 0
        for name in islice(self._names(tenant_id), limit):
            with translated("delete a blob", self._named):
                try:
                    self.container.delete_blob(name, delete_snapshots="include")
                except ResourceNotFoundError:
                    continue  # somebody else was quicker
            removed += 1
        return removed

    def _names(self, tenant_id: TenantId) -> Iterator[str]:
        """The blobs of a tenant. Without a container there are none: a deployment that sends none may have none."""
        with translated("list blobs", self._named):
            try:
                yield from self.container.list_blob_names(name_starts_with=_folder(tenant_id))
            except ResourceNotFoundError as error:
                if code_of(error) != _MISSING_CONTAINER:
                    raise

    @property
    def _named(self) -> str:
        return f"container {self.container.container_name!r}"


def _folder(tenant: TenantId) -> str:
    return f"{tenant_id(tenant)}/"


def _path(tenant: TenantId, claim: PayloadClaim) -> str:
    return _folder(tenant) + claim.digest
