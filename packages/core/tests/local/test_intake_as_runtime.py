"""Requests on a real server over PostgreSQL, with the login that functions have in production."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from threading import Barrier

import httpx
import pytest
from pydantic import SecretStr

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    StandardWebhooks,
    TenantFromApiKey,
    TenantFromWebhook,
)
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.names import TenantId
from api_exchange_testing import RecordingObserver

TENANT, SHOP = TenantId("customer-a"), SystemName("shop")
SIGNED_WITH = b"0123456789abcdef0123456789abcdef"


class Take(ProcessorInterface):
    """Hands the ids of what it is called with to the test."""

    def __init__(self, taken: Queue[str]) -> None:
        self._taken = taken

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self._taken.put(message.id)
        return ProcessingResult.create_success()


@pytest.fixture
def taken() -> Queue[str]:
    return Queue()


@pytest.fixture
def container(
    production_urls: Mapping[str, str], taken: Queue[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalContainer]:
    monkeypatch.setenv("API_EXCHANGE_KEYS", new_entry("k1"))
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    exchange = Exchange("shop", tenants=[TENANT, "customer-b"])
    exchange.http("orders", "/orders", Take(taken), tenant=TenantFromApiKey())
    by_path = TenantFromWebhook(StandardWebhooks(), secrets=SHOP)
    exchange.http("hooks", "/hooks/{tenant}", Take(taken), tenant=by_path)
    settings = LocalSettings(database_url=SecretStr(production_urls["runtime"]), port=0)
    container = prepared_container(exchange, settings, observer=RecordingObserver())
    now = container.clock().now()
    container.tenants().add_api_key(TENANT, key_hash=api_key_hash("key"), now=now)
    secret = b"whsec_" + b64encode(SIGNED_WITH)
    container.operations.keep_credentials().set(TENANT, SHOP, secret, by="ann", on_version=0)
    runner = container.runner()
    runner.start()
    yield container
    runner.stop()
    container.engine().dispose()


@pytest.fixture
def url(container: LocalContainer) -> str:
    return f"http://127.0.0.1:{container.runner().http_port}"


def post_order(client: httpx.Client, url: str) -> httpx.Response:
    headers = {"X-API-Key": "key", "Idempotency-Key": "one"}
    return client.post(f"{url}/orders", json={"id": 1}, headers=headers)


def test_a_request_that_comes_twice_at_once_is_taken_in_once(
    container: LocalContainer, url: str, taken: Queue[str]
) -> None:
    ready = Barrier(2)

    def ask(_: int) -> httpx.Response:
        with httpx.Client(trust_env=False) as client:
            ready.wait(timeout=30)
            return post_order(client, url)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, range(2)))
    accepted = {answer.json()["message_id"] for answer in answers if answer.status_code == 202}
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len(accepted) == 1
    assert {taken.get(timeout=30)} == accepted
    with httpx.Client(trust_env=False) as client:
        assert {post_order(client, url).json()["message_id"]} == accepted
    container.runner().stop()
    assert taken.empty()


def test_a_webhook_is_taken_in_for_the_tenant_whose_secret_signed_it(
    container: LocalContainer, url: str, taken: Queue[str]
) -> None:
    body, seconds = b'{"order": 1}', str(int(container.clock().now().timestamp()))
    digest = hmac.new(SIGNED_WITH, f"msg_1.{seconds}.".encode() + body, "sha256").digest()
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": seconds,
        "Webhook-Signature": f"v1,{b64encode(digest).decode()}",
    }
    with httpx.Client(base_url=url, trust_env=False) as client:
        first, again = (client.post(f"/hooks/{TENANT}", content=body, headers=headers) for _ in range(2))
        stranger = client.post("/hooks/customer-b", content=body, headers=headers)
    assert (first.status_code, again.json(), stranger.status_code) == (202, first.json(), 401)
    assert taken.get(timeout=30) == first.json()["message_id"]
    container.runner().stop()
    assert taken.empty()
