"""Contents of large messages in S3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from typing_extensions import override

from api_exchange_aws.errors import DENIED, code_of, translated
from api_exchange_aws.s3.folder import keys_in, remove_folder
from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId, tenant_id
from api_exchange_core.ports.payload_store import PayloadStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING: Final = "NoSuchKey"  # GetObject, "Errors"; without the right s3:ListBucket it is AccessDenied


@dataclass(frozen=True, slots=True)
class S3PayloadStore(PayloadStore):
    """An object a content, ``<prefix><tenant>/<digest>``.

    A content that is put again is a new object, whose age begins anew: a lifecycle rule of the bucket that removes old
    objects leaves it. Of a bucket with versions that rule is to remove old versions as well, or nothing is erased.

    It takes the rights ``s3:PutObject``, ``s3:GetObject``, ``s3:DeleteObject`` and ``s3:ListBucket``.

    Args:
        client: of S3.
        bucket: its name.
        prefix: what the keys begin with; with a slash at its end, if it is a folder.
    """

    client: S3Client
    bucket: str
    prefix: str = ""

    @override
    def put(self, tenant_id: TenantId, content: bytes) -> PayloadClaim:
        claim = PayloadClaim.to(content)
        with translated("s3:PutObject", self._bucket):
            self.client.put_object(Bucket=self.bucket, Key=self._key(tenant_id, claim), Body=content)
        return claim

    @override
    def get(self, tenant_id: TenantId, claim: PayloadClaim) -> bytes | None:
        with translated("s3:GetObject", self._bucket):
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=self._key(tenant_id, claim))
            except ClientError as error:
                if code_of(error) == _MISSING:
                    return None
                if (
                    code_of(error) in DENIED
                ):  # permanent to us; the message is whole once somebody has mended it
                    raise TransientError(
                        f"AWS denies s3:GetObject on {self._bucket} ({code_of(error)}): allow it in the role of this "
                        "function, and s3:ListBucket, or AWS says the same of a content that is gone"
                    ) from error
                raise
            content = answer["Body"].read()
        if not claim.fits(content):
            raise PermanentError(f"content {claim.digest} of tenant {tenant_id!r} is not what it was")
        return content

    @override
    def held(self, tenant_id: TenantId) -> int:
        return sum(1 for _ in keys_in(self.client, self.bucket, self._folder(tenant_id)))

    @override
    def erase(self, tenant_id: TenantId, *, limit: int) -> int:
        return len(remove_folder(self.client, self.bucket, self._folder(tenant_id), limit=limit))

    @property
    def _bucket(self) -> str:
        return f"bucket {self.bucket!r}"

    def _folder(self, tenant: TenantId) -> str:
        return f"{self.prefix}{tenant_id(tenant)}/"

    def _key(self, tenant: TenantId, claim: PayloadClaim) -> str:
        return self._folder(tenant) + claim.digest
