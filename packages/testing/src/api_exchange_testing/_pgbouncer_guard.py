"""The process that owns a test's PgBouncer: writes its files, runs it as a child, clears both away.

As `_postgres_guard` does it: standard input is a pipe that ends when the process that wanted the pooler ends, however
that comes about, and then everything goes.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from api_exchange_testing._postgres_guard import ACCOUNT, UnavailableError, free_ports, within_reach

STARTUP = 30.0
"""Seconds that it may take to accept connections; it takes a few hundredths."""

SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool_size}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one pooler has its files, and as whom it runs."""

    folder: Path
    uid: int | None
    gid: int | None

    @property
    def log(self) -> Path:
        """What the pooler says about itself."""
        return self.folder / "log"

    def failure(self, what: str) -> RuntimeError:
        """An error that says *what* and shows the log."""
        return RuntimeError(f"{what}; its log says:\n{self.log.read_text(errors='replace')}")


def prepare() -> Place:
    """Make the folder; as root, give it to `ACCOUNT`, since PgBouncer refuses to run as root.

    Raises:
        UnavailableError: there is no such account, or no folder that it can enter.
    """
    if os.geteuid() != 0:
        return Place(Path(tempfile.mkdtemp(prefix="api-exchange-pgbouncer-")), None, None)
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise UnavailableError(
            f"PgBouncer refuses to run as root, and there is no account {ACCOUNT!r}"
        ) from None
    bases = (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - mkdtemp is in it
    base = next((base for base in bases if Path(base).is_dir() and within_reach(Path(base))), None)
    if base is None:
        raise UnavailableError(f"{ACCOUNT!r} can enter no temporary folder: set TMPDIR to one that it can")
    folder = Path(tempfile.mkdtemp(prefix="api-exchange-pgbouncer-", dir=base))
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return Place(folder, entry.pw_uid, entry.pw_gid)


def serve(
    place: Place, binary: str, settings: str, ports: Iterable[int]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the pooler on the first of *ports* that nobody has taken meanwhile; it accepts connections."""
    for port in ports:
        (place.folder / "settings").write_text(settings.replace("{port}", str(port)))
        with place.log.open("wb") as log:
            pooler = subprocess.Popen(  # noqa: S603 - the program that was found, and our own arguments
                [binary, place.folder / "settings"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=place.folder,
                env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
                user=place.uid,
                group=place.gid,
                extra_groups=None if place.uid is None else [],
            )
        if _comes_up(place, pooler, port):
            return pooler, port
        if b"ddress already in use" not in place.log.read_bytes():
            raise place.failure(f"PgBouncer ended with status {pooler.returncode} as it started")
    raise place.failure("every port that was free was taken before PgBouncer had it")


def main(binary: str, server_port: int, pool_size: int, users: Sequence[str]) -> None:
    """Keep one pooler for as long as standard input lasts."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the pipe alone decides
    place = prepare()
    try:
        (place.folder / "users").write_text("".join(f'"{user}" ""\n' for user in users))
        settings = SETTINGS.format(
            server_port=server_port, port="{port}", folder=place.folder, pool_size=pool_size
        )
        pooler, port = serve(place, binary, settings, free_ports())
        try:
            print(json.dumps({"port": port, "pid": pooler.pid, "folder": str(place.folder)}), flush=True)  # noqa: T201
            sys.stdin.buffer.readline()
        finally:
            pooler.kill()  # it holds nothing, and asked politely it may wait for its clients
            pooler.wait()
    finally:
        shutil.rmtree(place.folder)


def _comes_up(place: Place, pooler: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until *pooler* listens (True) or has ended (False)."""
    deadline = time.monotonic() + STARTUP
    while pooler.poll() is None:
        # Another process may listen there; the log is the pooler's own.
        if f"listening on 127.0.0.1:{port}".encode() in place.log.read_bytes() and _connects(port):
            return True
        if time.monotonic() > deadline:
            pooler.kill()
            pooler.wait()
            raise place.failure(f"PgBouncer accepted no connection within {STARTUP:.0f} s")
        time.sleep(0.01)
    return False


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    except UnavailableError as reason:
        print(reason, file=sys.stderr)  # noqa: T201
        sys.exit(os.EX_UNAVAILABLE)
    except RuntimeError as reason:
        sys.exit(str(reason))
