"""What is kept in a bucket under one prefix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from api_exchange_aws.errors import translated
from api_exchange_core.domain.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KEYS_A_REQUEST: Final = 1_000  # DeleteObjects, "Request Syntax"


def keys_in(client: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    """The keys that begin with *prefix*, asked for as they are wanted, a thousand a request.

    Raises:
        PermanentError: the right ``s3:ListBucket`` is missing.
        TransientError: the bucket could not be reached.
    """
    with translated("s3:ListBucket", f"bucket {bucket!r}"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Contents", []):
                yield one["Key"]


def remove_folder(client: S3Client, bucket: str, prefix: str, *, limit: int | None = None) -> Sequence[str]:
    """Remove all objects whose keys begin with *prefix*, or *limit* of them; their keys.

    Raises:
        PermanentError: a right is missing: ``s3:ListBucket`` or ``s3:DeleteObject``.
        TransientError: some are left; calling again removes them.
    """
    removed: list[str] = []
    doomed = islice(keys_in(client, bucket, prefix), limit)
    while keys := list(islice(doomed, _KEYS_A_REQUEST)):
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
