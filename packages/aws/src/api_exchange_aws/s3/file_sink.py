"""JSON Lines in S3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from api_exchange_aws.errors import translated
from api_exchange_aws.s3.folder import remove_folder
from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import TenantId, tenant_id
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.randomness import Randomness

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LONGEST_KEY: Final = 1024  # bytes of UTF-8; "Naming Amazon S3 objects"


@dataclass(frozen=True, slots=True)
class S3FileSink(FileSink):
    """A file is a folder of parts, ``<prefix><tenant>/<name>/<time>-<id>.jsonl``: nothing can be appended to an object.

    Each call is one more part, which is there whole or not at all. Athena, Spark, DuckDB and others read the folder as
    one file; its lines are in order by the names of the parts. Parts of several instances are ordered by their clocks,
    which may be some milliseconds apart.

    It takes the rights ``s3:PutObject``, ``s3:DeleteObject`` and ``s3:ListBucket``.

    Args:
        client: of S3.
        bucket: its name.
        clock: tells the time of a part.
        randomness: makes its id.
        prefix: what the keys begin with; with a slash at its end, if it is a folder.
    """

    client: S3Client
    bucket: str
    clock: Clock
    randomness: Randomness
    prefix: str = ""

    @override
    def append(self, tenant_id: TenantId, name: str, lines: Sequence[bytes]) -> None:
        broken = [number for number, line in enumerate(lines) if b"\n" in line]
        if broken:
            raise PermanentError(f"output file {name!r}: lines {broken} hold a line break")
        key = f"{self._file(tenant_id, name)}{self.clock.now():%Y%m%dT%H%M%S.%fZ}-{self.randomness.new_id()}.jsonl"
        if len(key.encode()) > _LONGEST_KEY:
            raise PermanentError(
                f"output file {name!r}: its key would be longer than S3's {_LONGEST_KEY} bytes"
            )
        if not lines:
            return
        with translated("s3:PutObject", f"bucket {self.bucket!r}"):
            self.client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=b"".join(line + b"\n" for line in lines),
                ContentType="application/jsonl",
            )

    @override
    def erase(self, tenant_id: TenantId) -> int:
        keys = remove_folder(self.client, self.bucket, self._folder(tenant_id))
        return len({key.rpartition("/")[0] for key in keys})

    def _folder(self, tenant: TenantId) -> str:
        return f"{self.prefix}{tenant_id(tenant)}/"

    def _file(self, tenant: TenantId, name: str) -> str:
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise PermanentError(f"output file {name!r} would leave the folder of tenant {tenant!r}")
        return f"{self._folder(tenant)}{name}/"
