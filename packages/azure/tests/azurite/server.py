"""Azurite on 127.0.0.1, in memory, with a clock that tests can advance."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final, Self

from packages.azure.tests.azurite.environment import Installed

# The account that every Azurite has, and its published key ("Use the Azurite emulator", Microsoft Learn).
_ACCOUNT: Final = "devstoreaccount1"
_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_STARTUP: Final = 30.0


@dataclass(slots=True, eq=False)
class Azurite:
    """One running stand-in for Azure Storage. It ends with the process that started it.

    Attributes:
        connection_string: for the client libraries.
        passed: how far its clock is ahead.
    """

    connection_string: str
    _folder: Path
    _process: subprocess.Popen[str] = field(repr=False)
    passed: timedelta = timedelta(0)

    @classmethod
    def start(cls, installed: Installed) -> Self:
        """Start one; it answers when this returns.

        Raises:
            RuntimeError: it did not start; the message shows what it said.
        """
        folder = Path(tempfile.mkdtemp(prefix="api-exchange-azurite-"))
        ports = [_free_port() for _ in range(3)]
        services = ("blob", "queue", "table")
        options = [
            option
            for service, port in zip(services, ports, strict=True)
            for option in (f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port))
        ]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [
                    *(installed.node, "--require", Path(__file__).parent / "clock.cjs", installed.azurite),
                    *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
                    *options,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.PIPE,
                cwd=folder,
                text=True,
            )
        endpoints = "".join(
            f"{service.capitalize()}Endpoint=http://127.0.0.1:{port}/{_ACCOUNT};"
            for service, port in zip(services, ports, strict=True)
        )
        text = f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};{endpoints}"
        started = cls(text, folder, process)
        if not all(started._listens(port) for port in ports):
            said = (folder / "log").read_text(errors="replace")
            started.stop()
            raise RuntimeError(f"Azurite did not start; it says:\n{said}")
        return started

    def now(self) -> datetime:
        """What time it is there."""
        return datetime.now(UTC) + self.passed

    def advance(self, by: timedelta) -> None:
        """Let *by* pass there."""
        self.passed += by
        milliseconds = by // timedelta(milliseconds=1)
        stdin = _pipe(self._process.stdin)
        stdin.write(f"{milliseconds}\n")
        stdin.flush()
        stderr = _pipe(self._process.stderr)
        while not (line := stderr.readline()).startswith("passed"):
            if not line:
                raise RuntimeError("Azurite has ended")

    def stop(self) -> None:
        """End it, and remove its folder."""
        _pipe(self._process.stdin).close()
        self._process.wait(_STARTUP)
        _pipe(self._process.stderr).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listens(self, port: int) -> bool:
        """Wait until it listens (True) or has ended (False)."""
        deadline = time.monotonic() + _STARTUP
        while self._process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return True
            time.sleep(0.02)
        return False


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("Azurite was started without its pipes")
    return pipe


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
