from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from api_exchange_testing.pgbouncer import PgBouncer, PgBouncerUnavailableError
from api_exchange_testing.postgres import PostgresServer

ROOT_CONFTEST = Path(__file__).parents[3] / "conftest.py"
GONE = 20.0
"""Seconds that what a killed process leaves behind may take to go; it takes a tenth of one."""

STARTS_AND_WAITS = """
import json, sys
from api_exchange_testing.pgbouncer import PgBouncer
from api_exchange_testing.postgres import PostgresServer
server = PostgresServer.start()
pooler = PgBouncer.start(server, users=["postgres"])
print(json.dumps([pooler.pid, str(pooler.folder)]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pooler(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    try:
        running = PgBouncer.start(postgres_server, users=["postgres"], pool_size=1)
    except PgBouncerUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(absent))
    with running:
        yield running


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


def test_two_clients_share_the_one_connection_and_its_session(
    postgres_server: PostgresServer, pooler: PgBouncer, postgres_url: str
) -> None:
    url = pooler.url(postgres_url).replace("+psycopg", "")
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        server = one.execute("select pg_backend_pid()").fetchone()
        one.execute("set api.exchange = 'left behind'")
        one.commit()
        assert other.execute("select pg_backend_pid()").fetchone() == server
        assert other.execute("show api.exchange").fetchone() == ("left behind",)


def test_a_login_that_was_not_named_is_not_let_through(pooler: PgBouncer, postgres_url: str) -> None:
    url = pooler.url(postgres_url).replace("+psycopg", "").replace("postgres@", "stranger@")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(url)


def test_a_stopped_pooler_leaves_no_process_and_no_folder(pooler: PgBouncer) -> None:
    assert is_running(pooler.pid)
    assert pooler.folder.is_dir()
    pooler.stop()
    pooler.stop()
    assert not is_running(pooler.pid)
    assert not pooler.folder.exists()


def test_a_killed_process_leaves_no_pooler_behind(pooler: PgBouncer) -> None:
    pooler.stop()  # it was only asked whether there is one here
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, folder = json.loads(parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    parent.communicate()
    await_that(lambda: not is_running(pid) and not Path(folder).exists())


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "outcome"), [("", {"skipped": 1}), ("true", {"errors": 1})])
def test_without_pgbouncer_a_laptop_skips_and_ci_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    shutil.copy(ROOT_CONFTEST, pytester.path)
    pytester.makepyfile("""
        from api_exchange_testing import pgbouncer

        pgbouncer._NOT_ON_EVERY_PATH = ()

        def test_needs_it(pooled_url): ...
    """)
    monkeypatch.setenv("PATH", "/nowhere")
    finished = pytester.runpytest_subprocess("-rs")
    finished.assert_outcomes(**outcome)
    finished.stdout.fnmatch_lines("*install the package pgbouncer*")
