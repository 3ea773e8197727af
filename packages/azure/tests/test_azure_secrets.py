"""Secrets of a Key Vault, by its real client, from a server that answers as a vault does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.credentials import AccessToken
from azure.keyvault.secrets import SecretClient
from typing_extensions import override

from api_exchange_azure.secrets import KeyVaultSecrets
from api_exchange_core.domain.errors import TransientError
from api_exchange_testing.conformance import SecretSourceSuite
from api_exchange_testing.conformance.secret_source import Keep
from packages.azure.tests.plain_http import PlainHttp

_RESOURCE = "https://vault.azure.net"


class _Vault(ThreadingHTTPServer):
    """Gives secrets to who has a token, and tells others where tokens come from ("Get Secret", Key Vault REST)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets: dict[str, str] = {}
        self.answer: int | None = None


class _Handler(BaseHTTPRequestHandler):
    server: _Vault

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Bearer token":
            challenge = f'Bearer authorization="https://login.microsoftonline.com/t", resource="{_RESOURCE}"'
            return self._answer(401, {"error": {"code": "Unauthorized"}}, {"WWW-Authenticate": challenge})
        if self.server.answer is not None:
            return self._answer(self.server.answer, {"error": {"code": "Told"}})
        name = urlsplit(self.path).path.split("/")[2]
        if name not in self.server.secrets:
            return self._answer(404, {"error": {"code": "SecretNotFound", "message": f"{name} not found"}})
        identity = f"https://vault.vault.azure.net/secrets/{name}/1"
        return self._answer(200, {"value": self.server.secrets[name], "id": identity, "attributes": {}})

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for header, value in ({} if headers is None else headers).items():
            self.send_header(header, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Identity:
    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture
def vault() -> Iterator[_Vault]:
    vault = _Vault()
    thread = threading.Thread(target=vault.serve_forever, daemon=True)
    thread.start()
    yield vault
    vault.shutdown()
    thread.join()
    vault.server_close()


@pytest.fixture
def secrets(vault: _Vault) -> Iterator[KeyVaultSecrets]:
    with SecretClient(
        "https://vault.vault.azure.net",
        _Identity(),
        transport=PlainHttp(vault.server_address[1]),
        retry_total=0,
    ) as client:
        yield KeyVaultSecrets(client)


class TestKeyVault(SecretSourceSuite):
    @pytest.fixture
    def source(self, secrets: KeyVaultSecrets) -> KeyVaultSecrets:
        return secrets

    @pytest.fixture
    def keep(self, vault: _Vault) -> Keep:
        def keep(name: str, secret: bytes | None) -> None:
            kept_as = name.replace("_", "-")
            if secret is None:
                del vault.secrets[kept_as]
            else:
                vault.secrets[kept_as] = secret.decode()

        return keep


def test_a_vault_that_forbids_is_no_outage(vault: _Vault, secrets: KeyVaultSecrets) -> None:
    vault.answer = 403
    with pytest.raises(LookupError, match=r"'API_KEY' cannot be had .* as 'API-KEY'"):
        secrets.secret("API_KEY")


def test_a_vault_out_of_order_is_worth_another_try(vault: _Vault, secrets: KeyVaultSecrets) -> None:
    vault.answer = 503
    with pytest.raises(TransientError, match="throttles"):
        secrets.secret("API_KEY")
