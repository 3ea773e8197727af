"""Passwords that are made for each connection: tokens of clouds, which end soon."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import URL, Engine, text

from api_exchange_core.adapters.sql.engine import create_engine_for, reading
from api_exchange_core.domain.errors import DeclarationError, TransientError
from api_exchange_testing.postgres import PostgresServer
from packages.core.tests.adapters.sql.password_server import PasswordServer, password_server

HOST = "shop.database.example"


@pytest.fixture(scope="module")
def server(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PasswordServer]:
    with password_server(postgres_server, tmp_path_factory.mktemp("front"), HOST) as running:
        yield running


@pytest.fixture(autouse=True)
def _forgotten(server: PasswordServer) -> None:
    server.given.clear()


class Tokens:
    """Gives another token each time, and is asked for the server that it is for."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.asked_for: list[URL] = []

    def __call__(self, url: URL) -> str:
        self.asked_for.append(url)
        return f"token-{next(self.numbers)}"


def ask(engine: Engine) -> None:
    with reading(engine) as connection:
        assert connection.execute(text("select 1")).scalar() == 1


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def engine(server: PasswordServer, tokens: Tokens) -> Iterator[Engine]:
    engine = create_engine_for(server.url(HOST, sslrootcert=server.certificate), password=tokens)
    yield engine
    engine.dispose()


def test_the_server_is_given_the_password_that_was_made_for_it(
    server: PasswordServer, engine: Engine, tokens: Tokens
) -> None:
    server.set_password("token-1")
    ask(engine)
    assert server.given == ["token-1"]
    assert [(url.host, url.port, url.username) for url in tokens.asked_for] == [
        (HOST, server.port, server.user)
    ]


def test_a_connection_that_lives_outlasts_its_password_and_a_new_one_gets_another(
    server: PasswordServer, engine: Engine
) -> None:
    server.set_password("token-1")
    ask(engine)
    server.set_password("token-2")  # as if the first had ended
    ask(engine)
    assert server.given == ["token-1"]
    with reading(engine), reading(engine) as second:
        assert second.execute(text("select 1")).scalar() == 1
    assert server.given == ["token-1", "token-2"]


def test_a_password_that_the_server_refuses_is_shown_nowhere(
    server: PasswordServer, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    server.set_password("another")
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(TransientError, match="authentication failed") as refused,
    ):
        ask(engine)
    assert server.given == ["token-1"]
    error: BaseException | None = refused.value
    while error is not None:
        assert "token-1" not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    assert "token-1" not in f"{engine!r} {engine.url} {caplog.text}"


def test_what_goes_wrong_while_a_password_is_made_is_what_the_caller_gets(server: PasswordServer) -> None:
    def fail(_: URL) -> str:
        raise TransientError("nobody could be asked")

    engine = create_engine_for(server.url(HOST, sslrootcert=server.certificate), password=fail)
    with pytest.raises(TransientError, match="nobody could be asked"):
        ask(engine)
    assert server.given == []
    engine.dispose()


def test_a_server_that_cannot_prove_its_name_is_given_no_password(
    server: PasswordServer, tokens: Tokens
) -> None:
    server.set_password("token-1")
    url = server.url("another.database.example", sslrootcert=server.certificate)
    engine = create_engine_for(url, password=tokens)
    with pytest.raises(TransientError, match="does not match host name"):
        ask(engine)
    assert server.given == []
    engine.dispose()


def test_without_a_certificate_to_check_it_by_the_connection_is_encrypted_all_the_same(
    server: PasswordServer, tokens: Tokens
) -> None:
    server.set_password("token-1")
    engine = create_engine_for(server.url(HOST), password=tokens)
    with reading(engine) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver.pgconn.ssl_in_use
    engine.dispose()


def test_a_server_that_takes_no_encryption_is_given_no_password(
    server: PasswordServer, tokens: Tokens
) -> None:
    plain = f"postgresql://{server.user}@127.0.0.1:{server.server.port}/postgres"
    engine = create_engine_for(plain, password=tokens)
    with pytest.raises(TransientError, match="does not support SSL"):
        ask(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://app:hunter2Zq81@h/n", "take it out of the URL"),
        ("postgresql://h/n", "names no user"),
        ("postgresql://app@h/n?sslmode=prefer", "sslmode='prefer'.*clear text"),
        ("sqlite:///exchange.db", "takes no password"),
    ],
)
def test_a_url_that_does_not_fit_a_made_password_is_refused(url: str, says: str, tokens: Tokens) -> None:
    with pytest.raises(DeclarationError, match=says) as refused:
        create_engine_for(url, password=tokens)
    assert "hunter2" not in str(refused.value)
