"""Code as a cloud keeps it, and what loading it takes."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Start:
    """What one start took.

    Args:
        wall: seconds.
        cpu: seconds of the processor, which other work on the machine disturbs less.
    """

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A function's code, unpacked.

    Args:
        name: as reports call it.
        zip_bytes: its size packed.
        bytes: its size unpacked.
        folder: where it is.
        code: what loads the handler.
        environment: what the handler is configured with.
    """

    name: str
    zip_bytes: int
    bytes: int
    folder: Path
    code: str
    environment: Mapping[str, str]

    @classmethod
    def of(cls, name: str, archive: Path, code: str, environment: Mapping[str, str]) -> Candidate:
        """Unpack *archive* beside itself."""
        folder = archive.with_suffix("")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
            size = sum(one.file_size for one in opened.infolist())
        return cls(name, archive.stat().st_size, size, folder, code, environment)

    def start(self) -> Start:
        """Load it in a new interpreter, which finds this code and the standard library."""
        environment = {"PATH": os.defpath, "PYTHONPATH": str(self.folder), **self.environment}
        started = time.perf_counter()
        process = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", self.code], environment)
        _, status, used = os.wait4(process, 0)
        wall = time.perf_counter() - started
        if status != 0:
            raise RuntimeError(f"{self.name} does not load")
        return Start(wall, used.ru_utime + used.ru_stime)
