"""JSON Lines files that are bytes in a dictionary."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

from typing_extensions import override

from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.file_sink import FileSink


class InMemoryFileSink(FileSink):
    """Keeps each tenant's files apart, as their bytes."""

    def __init__(self) -> None:
        self._files: defaultdict[tuple[TenantId, str], bytearray] = defaultdict(bytearray)
        self._lock = threading.Lock()

    @override
    def append(self, tenant_id: TenantId, name: str, lines: Sequence[bytes]) -> None:
        path = _path_within_folder(name)
        if any(b"\n" in line for line in lines):
            raise PermanentError(f"a line for file {name!r} holds a line break; JSON escapes them")
        with self._lock:
            self._files[tenant_id, path] += b"".join(line + b"\n" for line in lines)

    @override
    def erase(self, tenant_id: TenantId) -> int:
        with self._lock:
            names = [key for key in self._files if key[0] == tenant_id]
            for key in names:
                del self._files[key]
        return len(names)

    def read(self, tenant_id: TenantId, name: str) -> bytes:
        """The file as it is now; empty if it was never written."""
        with self._lock:
            return bytes(self._files.get((tenant_id, _path_within_folder(name)), b""))

    def lines(self, tenant_id: TenantId, name: str) -> list[bytes]:
        """The lines of a file, without their ends."""
        return self.read(tenant_id, name).split(b"\n")[:-1]

    def names(self, tenant_id: TenantId) -> list[str]:
        """The files of a tenant, sorted."""
        with self._lock:
            return sorted(name for tenant, name in self._files if tenant == tenant_id)


def _path_within_folder(name: str) -> str:
    path = PurePosixPath(name)
    if (
        not path.parts
        or ".." in PureWindowsPath(name).parts
        or path.is_absolute()
        or PureWindowsPath(name).anchor
    ):
        raise PermanentError(f"{name!r} leads out of the tenant's folder: use a relative path without '..'")
    return str(path)
