"""A stand-in for AWS on 127.0.0.1, with a clock that tests can advance."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, ClassVar, Final, Self

import boto3
from botocore.config import Config

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
_STARTUP: Final = 30.0
_TRIES: Final = 3
_ROOM: Final = 4 * 1024**3
"""Bytes. Each function has its code unpacked: thousands of files, which a disk takes long to write and to remove."""


@dataclass(slots=True, eq=False)
class StandIn:
    """One running stand-in for AWS, in a folder of its own. Both go when the process that started it ends.

    Attributes:
        endpoint: its URL.
        passed: how far its clock is ahead.
    """

    NAME: ClassVar[str]
    LOCK: ClassVar[Path]
    """What its environment has."""
    PROGRAM: ClassVar[Path]
    """Serves until its standard input ends; each line of that is a number of seconds to let pass."""
    HEALTH: ClassVar[str]
    RESET: ClassVar[str]

    endpoint: str
    folder: Path
    _process: subprocess.Popen[str] = field(repr=False)
    passed: timedelta = timedelta(0)

    @classmethod
    def start(cls, interpreter: Path) -> Self:
        """Start one; it answers when this returns.

        Raises:
            RuntimeError: it did not start; the message shows what it said.
        """
        for last in (False,) * (_TRIES - 1) + (True,):
            started = cls._started(interpreter)
            if started._answers():
                return started
            said = started._log.read_text(errors="replace")
            started.stop()
            if last or "ddress already in use" not in said:
                raise RuntimeError(f"{cls.NAME} did not start; it says:\n{said}")
        raise AssertionError("unreachable")

    @classmethod
    def _started(cls, interpreter: Path) -> Self:
        port = _free_port()
        folder = Path(tempfile.mkdtemp(prefix=f"api-exchange-{cls.NAME}-", dir=_memory()))
        settings = {
            "TMPDIR": str(folder),
            "PATH": os.environ.get("PATH", os.defpath),
            **cls.settings(port, folder),
        }
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [interpreter, "-u", cls.PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=settings,
                cwd=folder,
                text=True,
            )
        return cls(f"http://127.0.0.1:{port}", folder, process)

    @classmethod
    @abstractmethod
    def settings(cls, port: int, folder: Path) -> Mapping[str, str]:
        """Environment variables that it needs to listen at *port* and keep everything in *folder*."""

    def client(self, service: str) -> Any:
        """A client of one of its services."""
        return boto3.client(  # type: ignore[call-overload]  # the name of the service is not known before it runs
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"mode": "standard", "max_attempts": 1}),
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables by which the SDK and the CLI find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def now(self) -> datetime:
        """What time it is there."""
        return datetime.now(UTC) + self.passed

    def advance(self, by: timedelta) -> None:
        """Let *by* pass there."""
        self._pipe(self._process.stdin).write(f"{by.total_seconds()}\n")
        self._pipe(self._process.stdin).flush()
        self._pipe(self._process.stdout).readline()
        self.passed += by

    def reset(self) -> None:
        """Forget everything but the time."""
        request = urllib.request.Request(self.endpoint + self.RESET, method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def stop(self) -> None:
        """End it, and remove its folder."""
        self._pipe(self._process.stdin).close()
        self._process.wait(_STARTUP)
        self._pipe(self._process.stdout).close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _answers(self) -> bool:
        """Wait until it answers (True) or has ended (False)."""
        deadline = time.monotonic() + _STARTUP
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.endpoint + self.HEALTH, timeout=1).close()
            except (OSError, urllib.error.URLError):
                time.sleep(0.02)
            else:
                return self._process.poll() is None  # or somebody else answers there
        return False

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise RuntimeError(f"{self.NAME} was started without its pipes")
        return pipe


def _memory() -> str | None:
    """Where files are kept in memory, if there is such a place with room enough."""
    place = "/dev/shm"
    has_room = os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM
    return place if has_room else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
