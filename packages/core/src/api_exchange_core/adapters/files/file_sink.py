"""JSON Lines files on the local disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.file_sink import FileSink

_TAIL = 64 * 1024


@dataclass(frozen=True, slots=True)
class LocalFileSink(FileSink):
    """Appends under an exclusive lock, whole lines at a time, and makes them durable before it returns.

    A line that a dying process left unfinished is cut off by the next one to append. Folders are for the owner only.

    Args:
        root: folder that holds one folder a tenant.
    """

    root: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @override
    def append(self, tenant_id: TenantId, name: str, lines: Sequence[bytes]) -> None:
        broken = [number for number, line in enumerate(lines) if b"\n" in line]
        if broken:
            raise PermanentError(f"output file {name!r}: lines {broken} hold a line break")
        path = self._path(tenant_id, name)
        try:
            _make_folder(path.parent)
            with self._lock, _locked(path) as descriptor:
                _cut_unfinished_line(descriptor)
                _write(descriptor, b"".join(line + b"\n" for line in lines))
        except OSError as error:
            raise TransientError(f"output file {name!r} of tenant {tenant_id!r}: {error.strerror}") from error

    @override
    def erase(self, tenant_id: TenantId) -> int:
        folder = self._folder(tenant_id)
        removed = 0
        try:
            for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()
                    removed += 1
            if folder.is_dir():
                folder.rmdir()
        except OSError as error:
            raise TransientError(f"output files of tenant {tenant_id!r}: {error.strerror}") from error
        return removed

    def _folder(self, tenant_id: TenantId) -> Path:
        folder = (self.root / tenant_id).resolve()
        if folder.parent != self.root.resolve():
            raise PermanentError(f"the folder of tenant {tenant_id!r} would lie outside of the output folder")
        return folder

    def _path(self, tenant_id: TenantId, name: str) -> Path:
        folder = self._folder(tenant_id)
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or path == folder:
            raise PermanentError(f"output file {name!r} would leave the folder of tenant {tenant_id!r}")
        return path


def _make_folder(folder: Path) -> None:
    """Make *folder* and those above it. `Path.mkdir` gives its mode to the last one only."""
    missing = [folder, *folder.parents]
    for one in reversed([one for one in missing if not one.exists()]):
        one.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock_exclusively(descriptor)
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock_exclusively(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _cut_unfinished_line(descriptor: int) -> None:
    end = os.lseek(descriptor, 0, os.SEEK_END)
    whole = end
    while whole > 0:
        start = max(0, whole - _TAIL)
        os.lseek(descriptor, start, os.SEEK_SET)
        newline = os.read(descriptor, whole - start).rfind(b"\n")
        if newline >= 0:
            whole = start + newline + 1
            break
        whole = start
    if whole < end:
        os.ftruncate(descriptor, whole)
    os.lseek(descriptor, 0, os.SEEK_END)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
