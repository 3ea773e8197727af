"""The databases that tests of every package run on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings

from api_exchange_core.adapters.sql.roles import set_up
from api_exchange_testing.pgbouncer import PgBouncer, PgBouncerUnavailableError
from api_exchange_testing.postgres import PostgresServer, PostgresUnavailableError

pytest_plugins = ["pytester"]

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None, print_blob=True)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this worker's own. Where there is none, tests skip on a laptop and fail in CI."""
    try:
        server = PostgresServer.start()
    except PostgresUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL here: {absent}")
    with server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database that is dropped after the test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def production_urls(postgres_server: PostgresServer) -> Iterator[Mapping[str, str]]:
    """The URLs of an empty PostgreSQL database that is set up for production, by login: admin, owner, runtime.

    The owner may not make roles; the runtime is what functions connect as.
    """
    number = uuid4().hex
    database, owner, login = f"test_{number}", f"owner_{number}", f"login_{number}"
    admin = postgres_server.url(database)
    with psycopg.connect(
        postgres_server.url("postgres").replace("+psycopg", ""), autocommit=True
    ) as administrator:
        for statement in set_up(database=database, owner=owner, login=login):
            administrator.execute(statement.encode())
        yield {
            "admin": admin,
            "owner": admin.replace("//postgres@", f"//{owner}@"),
            "runtime": admin.replace("//postgres@", f"//{login}@"),
        }
        postgres_server.drop_database(admin)
        administrator.execute(f"DROP ROLE {owner}, {login}".encode())


@pytest.fixture
def pooled_url(postgres_server: PostgresServer, production_urls: Mapping[str, str]) -> Iterator[str]:
    """The runtime's URL through PgBouncer in transaction mode, which has two connections to the database.

    Where there is no PgBouncer, tests skip on a laptop and fail in CI.
    """
    runtime = production_urls["runtime"]
    try:
        pooler = PgBouncer.start(postgres_server, users=[urlsplit(runtime).username or ""], pool_size=2)
    except PgBouncerUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PgBouncer here: {absent}")
    with pooler:
        yield pooler.url(runtime)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database; the test runs once on each kind that the framework supports."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/exchange.db"
    url: str = request.getfixturevalue("postgres_url")
    return url
