"""A real PgBouncer for tests, in transaction mode, between the tests and a `PostgresServer`.

The program is the machine's own (``apt-get install pgbouncer``): there is no wheel of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from api_exchange_testing.postgres import PostgresServer

_STOP: Final = 30.0
_NOT_ON_EVERY_PATH: Final = ("/usr/sbin", "/usr/local/sbin")


class PgBouncerUnavailableError(RuntimeError):
    """This machine has no PgBouncer to start. One that is there and fails is a plain RuntimeError."""


@dataclass(eq=False, slots=True)
class PgBouncer:
    """One running pooler, which hands a server's connection to another client after each transaction.

    A guard process owns it and its folder. Both are gone when `stop` returns, or a moment after this process ends,
    however it ends. As root it runs as the account ``nobody``; no account is created.

    Attributes:
        port: on 127.0.0.1, where alone it listens.
        pid: of the pooler.
        folder: holds its settings and the file ``log``.
    """

    port: int
    pid: int
    folder: Path
    _guard: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, server: PostgresServer, *, users: Sequence[str], pool_size: int = 2) -> Self:
        """Start one; it accepts connections when this returns.

        Args:
            server: behind it.
            users: the logins that it lets through, without a password.
            pool_size: connections to the server for each login and database.

        Raises:
            PgBouncerUnavailableError: it is not installed, or there is no account that may run it.
            RuntimeError: it did not start; the message shows its log.
        """
        guard = subprocess.Popen(  # noqa: S603 - our own program and arguments
            [
                sys.executable,
                *("-P", "-m", "api_exchange_testing._pgbouncer_guard"),
                *(_binary(), str(server.port), str(pool_size), *users),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the tests; the guard outlives them to clear up
        )
        assert guard.stdout is not None
        told = guard.stdout.readline()
        if not told:
            raise _refusal(guard)
        place = json.loads(told)
        return cls(port=place["port"], pid=place["pid"], folder=Path(place["folder"]), _guard=guard)

    def stop(self) -> None:
        """End the pooler and remove its folder. To stop twice is harmless.

        Raises:
            RuntimeError: it could not be cleared away; the message says what is left.
        """
        if self._guard.returncode is not None:
            return
        _, said = self._guard.communicate(b"stop\n", timeout=_STOP)
        if self._guard.returncode != 0:
            reason = said.decode(errors="replace")
            raise RuntimeError(f"the guard of {self.folder} ended with {self._guard.returncode}: {reason}")

    def url(self, url: str) -> str:
        """The same login and database as *url*, through the pooler."""
        parts = urlsplit(url)
        user, _, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _binary() -> str:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_NOT_ON_EVERY_PATH))
    found = shutil.which("pgbouncer", path=path) if os.name == "posix" else None
    if found is None:
        raise PgBouncerUnavailableError("there is no PgBouncer to start: install the package pgbouncer")
    return found


def _refusal(guard: subprocess.Popen[bytes]) -> RuntimeError:
    _, said = guard.communicate()
    reason = said.decode(errors="replace").strip()
    if guard.returncode == os.EX_UNAVAILABLE:
        return PgBouncerUnavailableError(reason)
    return RuntimeError(f"PgBouncer did not start (status {guard.returncode}): {reason}")
