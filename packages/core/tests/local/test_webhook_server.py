"""Webhooks and repeated requests on a real server, byte for byte as they come."""

from __future__ import annotations

import gzip
import hmac
import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from api_exchange_core import (
    Exchange,
    GitHubSignature,
    IntakeLimit,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    SlackSignature,
    StandardWebhooks,
    TenantFromApiKey,
    TenantFromSignedField,
    TenantFromWebhook,
)
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.sealer import SealedText
from api_exchange_testing import RecordingObserver

KEYS = {tenant: f"secret of {tenant}".encode() * 2 for tenant in ("customer-a", "customer-b")}
SECRETS = {
    **{(tenant, "shop"): b"whsec_" + b64encode(key) for tenant, key in KEYS.items()},
    ("customer-a", "github"): b"It's a Secret",
}
PROBLEM = "application/problem+json"


class Take(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalContainer]:
    folder: Path = tmp_path_factory.mktemp("webhooks")
    (folder / "API_EXCHANGE_KEYS").write_text(new_entry("k1"))
    (folder / "API_EXCHANGE_WEBHOOK_SLACK").write_text("slack secret\n")
    exchange = Exchange("shop", tenants=list(KEYS))
    by_path = TenantFromWebhook(StandardWebhooks(), secrets="shop")
    exchange.http("hooks", "/hooks/shop/{tenant}", Take, tenant=by_path, max_body=1_000)
    exchange.http("git", "/git/{tenant}", Take, tenant=TenantFromWebhook(GitHubSignature(), secrets="github"))
    field = TenantFromSignedField(SlackSignature(), "slack", "/team_id", {"T1": "customer-a"})
    exchange.http("slack", "/slack", Take, tenant=field)
    exchange.http("orders", "/orders", Take, tenant=TenantFromApiKey())
    exchange.http(
        "few", "/few", Take, tenant=TenantFromApiKey(), limit=IntakeLimit(1, per=timedelta(hours=1))
    )
    settings = LocalSettings(
        database_url=SecretStr(f"sqlite:///{folder}/exchange.db"),
        output_folder=folder / "output",
        port=0,
        secrets_folder=folder,
    )
    container = prepared_container(exchange, settings, observer=RecordingObserver())
    key = api_key_hash("key")
    container.tenants().add_api_key(TenantId("customer-a"), key_hash=key, now=container.clock().now())
    keep = container.operations.keep_credentials()
    for (tenant, system), secret in SECRETS.items():
        keep.set(TenantId(tenant), SystemName(system), secret, by="ann", on_version=0)
    runner = container.runner()
    runner.start()
    yield container
    runner.stop()
    container.engine().dispose()


@pytest.fixture
def http(container: LocalContainer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{container.runner().http_port}", trust_env=False) as client:
        yield client


def signed(
    container: LocalContainer, id_: str, body: bytes, *, by: str = "customer-a", at: datetime | None = None
) -> dict[str, str]:
    now = container.clock().now() if at is None else at
    seconds = str(int(now.timestamp()))
    digest = hmac.new(KEYS[by], f"{id_}.{seconds}.".encode() + body, "sha256").digest()
    return {
        "Webhook-Id": id_,
        "Webhook-Timestamp": seconds,
        "Webhook-Signature": f"v1,{b64encode(digest).decode()}",
    }


def test_what_is_signed_is_the_bytes_as_they_came(http: httpx.Client, container: LocalContainer) -> None:
    body = b'{ "id":1.0,\n"n": "gr\xc3\xbc\xc3\x9fe", "id": 2 }'
    headers = signed(container, "msg_bytes", body)
    answer = http.post("/hooks/shop/customer-a", content=body, headers=headers)
    assert answer.status_code == 202
    again = http.post("/hooks/shop/customer-a", content=body, headers=headers)
    assert (again.status_code, again.json()) == (202, answer.json())
    as_json = json.dumps(json.loads(body)).encode()
    assert http.post("/hooks/shop/customer-a", content=as_json, headers=headers).status_code == 401


def test_a_stranger_learns_nothing_of_who_there_is(http: httpx.Client, container: LocalContainer) -> None:
    body = b"{}"
    by_another = signed(container, "msg_stranger", body, by="customer-b")
    answers = [
        http.post(path, content=body, headers=headers)
        for path, headers in [
            ("/hooks/shop/customer-a", by_another),
            ("/hooks/shop/unknown", by_another),
            ("/hooks/shop/no%20tenant", by_another),
            ("/hooks/shop/nobody", by_another),
            ("/hooks/shop/customer-a", {}),
            ("/hooks/shop/unknown", {}),
        ]
    ]
    assert {(one.status_code, one.text, one.headers["www-authenticate"]) for one in answers} == {
        (401, answers[0].text, "Signature")
    }
    assert answers[0].headers["content-type"] == PROBLEM


def test_a_body_in_chunks_is_put_together_before_it_is_verified(
    http: httpx.Client, container: LocalContainer
) -> None:
    headers = signed(container, "msg_chunks", b'{"id": 1}')
    answer = http.post("/hooks/shop/customer-a", content=iter([b'{"id"', b": 1", b"}"]), headers=headers)
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 202


def test_what_is_compressed_is_refused_before_it_is_unpacked(
    http: httpx.Client, container: LocalContainer
) -> None:
    bomb = gzip.compress(b"0" * 100_000)
    headers = {**signed(container, "msg_gzip", bomb), "Content-Encoding": "gzip"}
    answer = http.post("/hooks/shop/customer-a", content=bomb, headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_header_that_is_given_twice_proves_nothing(
    http: httpx.Client, container: LocalContainer, name: str
) -> None:
    headers = signed(container, "msg_twice", b"{}")
    twice = [*headers.items(), (name, headers[name])]
    assert http.post("/hooks/shop/customer-a", content=b"{}", headers=twice).status_code == 401


def test_each_function_has_its_own_limit_of_a_body(http: httpx.Client, container: LocalContainer) -> None:
    for size, status in ((1_000, 202), (1_001, 413)):
        body = b'"' + b"x" * (size - 2) + b'"'
        headers = signed(container, f"msg_{size}", body)
        assert http.post("/hooks/shop/customer-a", content=body, headers=headers).status_code == status


def test_a_head_that_is_too_large_ends_the_connection(container: LocalContainer) -> None:
    with socket.create_connection(("127.0.0.1", container.runner().http_port), timeout=30) as connection:
        head = b"POST /hooks/shop/customer-a HTTP/1.1\r\nHost: shop\r\nWebhook-Signature: v1,"
        connection.sendall(head + b"A" * 40_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_many_signatures_are_refused(http: httpx.Client, container: LocalContainer) -> None:
    headers = signed(container, "msg_many", b"{}")
    headers["Webhook-Signature"] = " ".join([headers["Webhook-Signature"]] * 9)
    assert http.post("/hooks/shop/customer-a", content=b"{}", headers=headers).status_code == 401


@pytest.mark.parametrize("method", ["HEAD", "GET", "PUT", "OPTIONS"])
def test_what_is_no_post_takes_in_nothing(http: httpx.Client, container: LocalContainer, method: str) -> None:
    headers = signed(container, "msg_head", b"")
    assert http.request(method, "/hooks/shop/customer-a", headers=headers).status_code == 405


def test_a_tenant_is_one_segment_of_the_path(http: httpx.Client, container: LocalContainer) -> None:
    headers = signed(container, "msg_path", b"{}")
    for path in ("/hooks/shop/", "/hooks/shop/customer-a/more"):
        assert http.post(path, content=b"{}", headers=headers).status_code in (404, 307)


def test_another_scheme_at_another_path(http: httpx.Client) -> None:
    digest = hmac.new(b"It's a Secret", b'{"zen": 1}', "sha256").hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Delivery": "a"}
    first = http.post("/git/customer-a", content=b'{"zen": 1}', headers=headers)
    again = http.post("/git/customer-a", content=b'{"zen": 1}', headers={**headers, "X-GitHub-Delivery": "b"})
    assert (first.status_code, again.json()) == (202, first.json())


def test_slack_is_answered_at_once(http: httpx.Client, container: LocalContainer) -> None:
    body = b'{"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}'
    seconds = str(int(container.clock().now().timestamp()))
    digest = hmac.new(b"slack secret", f"v0:{seconds}:".encode() + body, "sha256").hexdigest()
    headers = {"X-Slack-Signature": f"v0={digest}", "X-Slack-Request-Timestamp": seconds}
    answer = http.post("/slack", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1a"})


def test_a_key_of_idempotency_is_good_for_every_function(http: httpx.Client) -> None:
    def post(key: str, body: object) -> httpx.Response:
        return http.post("/orders", json=body, headers={"X-API-Key": "key", "Idempotency-Key": key})

    first = post('"key-1"', {"id": 1})
    assert (first.status_code, post("key-1", {"id": 1}).json()) == (202, first.json())
    other = post("key-1", {"id": 2})
    assert (other.status_code, other.headers["content-type"]) == (422, PROBLEM)
    assert post("x" * 300, {"id": 1}).status_code == 400


def test_two_keys_of_idempotency_are_none(http: httpx.Client) -> None:
    headers = [("X-API-Key", "key"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert http.post("/orders", json={}, headers=headers).status_code == 400


def test_whoever_comes_too_often_is_told_when_to_come_back(http: httpx.Client) -> None:
    first, second = (http.post("/few", json={}, headers={"X-API-Key": "key"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 429)
    assert second.headers["content-type"] == PROBLEM
    assert 3_000 < int(second.headers["retry-after"]) <= 3_600


def test_secrets_that_cannot_be_opened_are_a_trouble_of_ours_that_passes(
    http: httpx.Client, container: LocalContainer
) -> None:
    headers = signed(container, "msg_unread", b"{}")
    kept = container.credentials().get(TenantId("customer-a"), system=SystemName("shop"))
    assert kept is not None
    lost = replace(kept, version=2, sealed=SealedText(kept.sealed.replace(".k1.", ".gone.")))
    container.credentials().write(lost)
    container.use_cases.credential_reader()._known.clear()
    answer = http.post("/hooks/shop/customer-a", content=b"{}", headers=headers)
    assert (answer.status_code, "gone" in answer.text) == (503, False)
    assert answer.headers["retry-after"] == "10"  # by then nobody else is taking it in any more
    observer = container.observer()
    assert isinstance(observer, RecordingObserver)
    assert observer.events[-1].name == "http.unavailable"
    container.credentials().write(replace(kept, version=3))
    assert http.post("/hooks/shop/customer-a", content=b"{}", headers=headers).status_code == 202
