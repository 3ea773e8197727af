"""Tokens of Entra as passwords: a real PostgreSQL is given them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from dependency_injector import providers
from sqlalchemy import Engine, text

from api_exchange_azure.containers import azure_container
from api_exchange_azure.database_password import EntraDatabasePassword
from api_exchange_azure.settings import AzureSettings
from api_exchange_core import DeclarationError, Exchange, TransientError
from api_exchange_core.adapters.sql.engine import reading
from api_exchange_testing.postgres import PostgresServer
from packages.core.tests.adapters.sql.password_server import PasswordServer, password_server

HOST = "shop.postgres.database.azure.com"
_BUS = "Endpoint=sb://nowhere/;SharedAccessKeyName=k;SharedAccessKey=aHVudGVyMlpxODE="


@pytest.fixture
def server(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PasswordServer]:
    with password_server(postgres_server, tmp_path_factory.mktemp("front"), HOST) as running:
        yield running


@dataclass(slots=True)
class Identity:
    """A managed identity, as a credential knows it."""

    tokens: list[str] = field(default_factory=list)
    error: Exception | None = None
    scopes: list[str] = field(default_factory=list)

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        if self.error is not None:
            raise self.error
        return AccessToken(self.tokens.pop(0), 0)


def engine_of(url: str, identity: Identity) -> Engine:
    container = azure_container(
        Exchange("shop"), AzureSettings(database_url=url, database_identity=True, service_bus=_BUS)
    )
    container.database_password.override(providers.Object(EntraDatabasePassword(identity)))
    return container.engine()


def test_each_connection_gives_the_database_the_token_that_the_identity_has_by_then(
    server: PasswordServer,
) -> None:
    identity = Identity(["token-1", "token-2"])
    engine = engine_of(server.url(HOST, sslrootcert=server.certificate), identity)
    server.set_password("token-1")
    with reading(engine) as first:
        server.set_password("token-2")
        with reading(engine) as second:
            assert second.execute(text("select current_user")).scalar() == server.user
        assert first.execute(text("select 1")).scalar() == 1
    engine.dispose()
    assert server.given == ["token-1", "token-2"]
    assert set(identity.scopes) == {"https://ossrdbms-aad.database.windows.net/.default"}


@pytest.mark.parametrize("error", [CredentialUnavailableError("no"), ClientAuthenticationError("no")])
def test_without_an_identity_the_error_says_so_and_messages_are_kept(error: Exception) -> None:
    engine = engine_of(f"postgresql://app@{HOST}/shop", Identity(error=error))
    with (
        pytest.raises(TransientError, match=rf"no token for database '{HOST}'.*managed identity"),
        reading(engine),
    ):
        pass


def test_a_password_in_the_url_is_refused_where_tokens_are_asked_for() -> None:
    with pytest.raises(DeclarationError, match="take it out of the URL"):
        engine_of(f"postgresql://app:hunter2Zq81@{HOST}/shop", Identity())
