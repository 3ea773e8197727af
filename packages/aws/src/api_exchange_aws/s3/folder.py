"""What is kept in a bucket under one prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from api_exchange_aws.errors import translated
from api_exchange_core.domain.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def remove_folder(client: S3Client, bucket: str, prefix: str) -> Sequence[str]:
    """Remove all objects whose keys begin with *prefix*; their keys.

    Raises:
        PermanentError: a right is missing: ``s3:ListBucket`` or ``s3:DeleteObject``.
        TransientError: some are left; calling again removes them.
    """
    removed: list[str] = []
    with translated("s3:ListBucket", f"bucket {bucket!r}"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            keys = [one["Key"] for one in page.get("Contents", [])]
            if keys:
                _delete(client, bucket, keys)
            removed += keys
    return removed


def _delete(client: S3Client, bucket: str, keys: Sequence[str]) -> None:
    with translated("s3:DeleteObject", f"bucket {bucket!r}"):
        answer = client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
    if failed := answer.get("Errors"):
        raise TransientError(
            f"{len(failed):,} objects are left in bucket {bucket!r}: {failed[0].get('Code')}"
        )
