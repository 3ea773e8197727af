"""HTTP functions on a real server: what is taken in, and what is refused with problem+json."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    TenantFromApiKey,
)
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES, decode
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.http_app import http_app
from api_exchange_testing.memory.observer import RecordingObserver

KEY = {"X-API-Key": "key-of-customer-a"}
INTAKE = QueueName("intake")


class Order(BaseModel):
    id: str


class Take(ProcessorInterface):
    payload_model = Order

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-taken"))
        return result


class Search(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalContainer]:
    folder: Path = tmp_path_factory.mktemp("intake")
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.http("intake", "/orders", Take, methods=["POST"], tenant=TenantFromApiKey())
    exchange.http("search", "/orders", Search, methods=["GET"], tenant=TenantFromApiKey(header="X-Shop-Key"))
    settings = LocalSettings(
        database_url=SecretStr(f"sqlite:///{folder}/exchange.db"), output_folder=folder / "output", port=0
    )
    container = prepared_container(exchange, settings, observer=RecordingObserver())
    now = container.clock().now()
    for tenant in ("customer-a", "customer-b"):
        container.tenants().add_api_key(TenantId(tenant), key_hash=api_key_hash(f"key-of-{tenant}"), now=now)
    container.tenants().set_enabled(TenantId("customer-b"), enabled=False)
    runner = container.runner()
    runner.start()
    yield container
    runner.stop()
    container.engine().dispose()


@pytest.fixture
def http(container: LocalContainer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{container.runner().http_port}", trust_env=False) as client:
        yield client


def test_a_request_is_stored_and_acknowledged_with_its_ids(
    http: httpx.Client, container: LocalContainer
) -> None:
    answer = http.post("/orders", json={"id": "größe-1"}, headers=KEY)
    assert answer.status_code == 202
    ids = answer.json()
    assert ids["message_id"] == ids["correlation_id"]
    outputs = wait_for_output(container, ids["correlation_id"])
    assert [message.payload for message in outputs] == [{"id": "größe-1"}]
    assert outputs[0].tenant_id == "customer-a"
    assert outputs[0].causation_id == ids["message_id"]


def wait_for_output(container: LocalContainer, correlation_id: str) -> list[Message]:
    from time import monotonic

    found: list[Message] = []
    deadline = monotonic() + 30
    bell = container.runner().bell
    while not found and monotonic() < deadline:
        heard = bell.rings
        taken = container.queue().receive(
            QueueName("orders-taken"), max_messages=10, visibility=timedelta(hours=1)
        )
        found += [
            message
            for message in map(decode, (one.body for one in taken))
            if message.correlation_id == correlation_id
        ]
        bell.wait(heard, at_most=timedelta(milliseconds=50))
    return found


def test_a_request_without_a_body_is_its_query(http: httpx.Client) -> None:
    assert (
        http.get(
            "/orders", params={"since": "1997-01-01"}, headers={"x-shop-key": "key-of-customer-a"}
        ).status_code
        == 202
    )


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({"json": {"id": "1"}}, 401, "X-API-Key"),
        ({"json": {"id": "1"}, "headers": {"X-API-Key": "guessed"}}, 401, "unknown"),
        ({"json": {"id": "1"}, "headers": {"X-API-Key": "key-of-customer-b"}}, 403, "disabled"),
        ({"json": {"id": "1"}, "headers": {"X-Tenant-Id": "customer-a"}}, 401, "API key"),
        ({"content": b"\xff", "headers": KEY}, 400, "not JSON"),
        ({"content": b'{"id": NaN}', "headers": KEY}, 400, "not JSON"),
        ({"content": b'{"id": "\\ud800"}', "headers": KEY}, 400, "not JSON"),
        ({"content": b'{"id": ' + b"[" * 200 + b"]" * 200 + b"}", "headers": KEY}, 400, "JSON"),
        ({"content": b'{"id": ' + b"[" * 120 + b"]" * 120 + b"}", "headers": KEY}, 400, "nesting"),
        ({"content": b'{"id": "' + b"x" * 2_000_000 + b'"}', "headers": KEY}, 413, f"{MAX_MESSAGE_BYTES:,}"),
        ({"content": b'{"id": "' + b"x" * (MAX_MESSAGE_BYTES - 20) + b'"}', "headers": KEY}, 413, "limit"),
        ({"json": {"id": 7}, "headers": KEY}, 422, "id: "),
        ({"json": [], "headers": KEY}, 422, "Order"),
    ],
)
def test_what_is_not_taken_in_says_why(
    http: httpx.Client, request_: dict[str, Any], status: int, says: str
) -> None:
    answer = http.post("/orders", **request_)
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in problem["detail"]
    assert "key-of" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/orders/", 404), ("DELETE", "/orders", 405)],
)
def test_what_is_not_there_is_a_problem_too(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_server_says_that_it_is_well(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}


def test_a_head_request_is_no_get_and_stores_nothing(http: httpx.Client) -> None:
    assert http.head("/orders", headers={"x-shop-key": "key-of-customer-a"}).status_code == 405


def test_two_keys_in_one_request_prove_nothing(http: httpx.Client) -> None:
    keys = [("X-API-Key", "guessed"), ("X-API-Key", "key-of-customer-a")]
    assert http.post("/orders", json={"id": "1"}, headers=keys).status_code == 401


class Client:
    """An ASGI server of a client that sends no more than the head of its request."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/orders",
            "raw_path": b"/orders",
            "query_string": b"",
            "headers": list(headers),
            "scheme": "http",
            "server": ("shop", 80),
        }
        self.bodies_asked_for = 0
        self.status: int | None = None
        self.answered: dict[bytes, bytes] = {}

    async def receive(self) -> dict[str, Any]:
        self.bodies_asked_for += 1
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nothing more comes")

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.answered = dict(event["headers"])

    def ask(self, container: LocalContainer) -> None:
        app = http_app(
            container.exchange().functions,
            container.use_cases.accept(),
            bell=Bell(),
            observer=container.observer(),
            body_timeout=timedelta(0),
        )
        asyncio.run(app(self.scope, self.receive, self.send))


@pytest.mark.parametrize("headers", [(), ((b"x-api-key", b"unknown"),)])
def test_of_a_stranger_no_body_is_read(
    container: LocalContainer, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    client = Client(*headers)
    client.ask(container)
    assert (client.status, client.bodies_asked_for) == (401, 0)


def test_a_body_that_does_not_come_holds_up_a_connection_no_longer_than_it_may(
    container: LocalContainer,
) -> None:
    client = Client((b"x-api-key", b"key-of-customer-a"))
    client.ask(container)
    assert (client.status, client.answered[b"connection"]) == (408, b"close")


def test_a_head_without_end_is_refused(container: LocalContainer) -> None:
    with socket.create_connection(("127.0.0.1", container.runner().http_port), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: shop\r\nX-Long: " + b"x" * 40_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
