"""`api-exchange keys`, `db` and `run` where something is missing or wrong: what they do, and what they say."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, inspect, text

from api_exchange_core import Exchange
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.cli.loading import load_exchange
from api_exchange_core.containers.local import LocalSettings, prepared_container


class Ended(NamedTuple):
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


Run = Callable[..., Ended]
Write = Callable[[str, str], None]

SHOP = """
from api_exchange_core import Exchange, ProcessingResult, ProcessorInterface, TenantFromApiKey

class Take(ProcessorInterface):
    def process(self, message, context):
        return ProcessingResult.create_success()

exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
exchange.http("intake", "/orders", Take, tenant=TenantFromApiKey())
"""


@pytest.fixture
def shop(write: Write) -> str:
    """The name of a module in the current folder that declares an exchange."""
    write("shop_k.py", SHOP)
    return "shop_k"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """To look into the database beside the command."""
    engine = create_engine_for(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def unreachable() -> Iterator[str]:
    """The URL of a PostgreSQL where none is."""
    with socket.socket() as bound:  # and never listening, so that nobody else listens there either
        bound.bind(("127.0.0.1", 0))
        yield f"postgresql://shop:hunter2@127.0.0.1:{bound.getsockname()[1]}/shop"


def error_of(ended: Ended) -> str:
    """What a command said that could not do its work: one line, without the password, and nothing else."""
    assert ended.exit_code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert "hunter2" not in ended.err
    return ended.err


# keys issue


def test_a_key_is_shown_once_and_the_http_function_takes_it(
    api_exchange: Run, shop: str, database_url: str, engine: Engine
) -> None:
    ended = api_exchange("keys", "issue", f"{shop}:exchange", "customer-a", "--database-url", database_url)
    assert (ended.exit_code, ended.err) == (0, "")
    key = ended.out.removesuffix("\n")
    assert re.fullmatch(r"axk_[A-Za-z0-9_-]{43}", key)
    with engine.connect() as connection:
        [row] = connection.execute(text("SELECT * FROM api_keys")).mappings().all()
    assert (row["tenant_id"], row["key_hash"]) == ("customer-a", hashlib.sha256(key.encode()).hexdigest())
    assert key not in repr(row)
    assert status_of_a_request(shop, database_url, key) == httpx.codes.ACCEPTED
    assert status_of_a_request(shop, database_url, key[:-1]) == httpx.codes.UNAUTHORIZED


def status_of_a_request(shop: str, database_url: str, key: str) -> int:
    container = prepared_container(
        load_exchange(shop), LocalSettings(database_url=SecretStr(database_url), port=0)
    )
    runner = container.runner()
    runner.start()
    try:
        url = f"http://127.0.0.1:{runner.http_port}/orders"
        return httpx.post(url, json={}, headers={"X-API-Key": key}, trust_env=False).status_code
    finally:
        runner.stop()
        container.engine().dispose()


def test_each_key_is_another_and_earlier_ones_stay(
    api_exchange: Run, shop: str, database_url: str, engine: Engine
) -> None:
    keys = {
        api_exchange("keys", "issue", shop, tenant, "--database-url", database_url).out
        for tenant in ("customer-a", "customer-a", "customer-b")
    }
    assert len(keys) == 3
    with engine.connect() as connection:
        tenants = connection.execute(text("SELECT tenant_id FROM api_keys")).scalars().all()
    assert sorted(tenants) == ["customer-a", "customer-a", "customer-b"]


@pytest.mark.parametrize("tenant", ["customer-c", "no tenant/at all", ""])
def test_there_is_no_key_for_a_tenant_that_is_not_known(api_exchange: Run, shop: str, tenant: str) -> None:
    said = error_of(api_exchange("keys", "issue", shop, tenant, "--database-url", "sqlite:///shop.db"))
    assert repr(tenant) in said


# db upgrade


def test_an_empty_database_is_brought_up_to_date_and_says_where_it_is(
    api_exchange: Run, database_url: str, engine: Engine
) -> None:
    ended = api_exchange("db", "upgrade", "--database-url", database_url)
    assert (ended.exit_code, ended.out, ended.err) == (0, f"the schema is at {migrate.HEAD}\n", "")
    assert migrate.is_current(engine)
    assert "entities" in inspect(engine).get_table_names()


def test_a_database_that_is_up_to_date_stays_as_it_is(
    api_exchange: Run, database_url: str, engine: Engine
) -> None:
    exchange = Exchange("shop", tenants=["customer-a"])
    container = prepared_container(exchange, LocalSettings(database_url=SecretStr(database_url)))
    container.engine().dispose()
    ended = api_exchange("db", "upgrade", "--database-url", database_url)
    assert (ended.exit_code, ended.out) == (0, f"the schema is at {migrate.HEAD}\n")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM tenants")).scalars().all() == ["customer-a"]


def test_the_database_of_the_environment_is_taken_if_no_other_is_named(
    api_exchange: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", "sqlite:///named-there.db")
    assert api_exchange("db", "upgrade").exit_code == 0
    assert [file.name for file in tmp_path.glob("*.db")] == ["named-there.db"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://shop:hunter2@127.0.0.1/shop", "'mysql'"),
        ("hunter2", "sqlite:///FILE"),
        ("postgresql://shop:hunter2@127.0.0.1:port/shop", "percent-encoded"),
        ("sqlite:////no/such/folder/exchange.db", "there is no folder"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_line_that_says_why(
    api_exchange: Run, url: str, says: str
) -> None:
    assert says in error_of(api_exchange("db", "upgrade", "--database-url", url))


def test_a_postgresql_that_cannot_be_reached_is_one_line_without_the_password(
    api_exchange: Run, shop: str, unreachable: str
) -> None:
    for command in (["db", "upgrade"], ["keys", "issue", shop, "customer-a"]):
        said = error_of(api_exchange(*command, "--database-url", unreachable))
        assert "Connection refused" in said


def test_a_postgresql_that_refuses_the_user_is_one_line_without_the_password(
    api_exchange: Run, postgres_url: str
) -> None:
    url = re.sub("//[^/]*@", "//nobody:hunter2@", postgres_url)
    assert url != postgres_url
    assert "nobody" in error_of(api_exchange("db", "upgrade", "--database-url", url))


# Settings


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("API_EXCHANGE_PORT", "abc", "integer"),
        ("API_EXCHANGE_PORT", "65536", "65535"),
        ("API_EXCHANGE_TIMERS", "perhaps", "boolean"),
    ],
)
def test_a_wrong_setting_of_the_environment_is_named_and_its_value_is_not(
    api_exchange: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    said = error_of(api_exchange("db", "upgrade"))
    assert f"{name}: " in said
    assert says in said
    assert value not in said


# run


def run_process(shop: str, folder: Path, **environment: str) -> Ended:
    """`api-exchange run` as a process, since it sets up logging and signals for all of its process."""
    ended = subprocess.run(
        [sys.executable, "-m", "api_exchange_core.cli", "run", shop],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_run_names_a_wrong_setting(shop: str, tmp_path: Path) -> None:
    said = error_of(run_process(shop, tmp_path, API_EXCHANGE_PORT="abc"))
    assert said.startswith("error: the settings of the exchange are wrong: API_EXCHANGE_PORT: ")


def test_run_on_a_port_that_is_taken_says_how_to_choose_another(shop: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = error_of(run_process(shop, tmp_path, API_EXCHANGE_PORT=str(port)))
    assert said.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")
    assert said.endswith("choose another with --port\n")


def test_run_without_its_database_says_that_it_cannot_be_reached(
    shop: str, tmp_path: Path, unreachable: str
) -> None:
    said = error_of(run_process(shop, tmp_path, API_EXCHANGE_DATABASE_URL=unreachable))
    assert "Connection refused" in said
