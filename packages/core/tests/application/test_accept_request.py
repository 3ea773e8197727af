"""Taking in requests without a server: what is stored, and that what is refused leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
import pytest
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    TenantFromApiKey,
    TransientError,
)
from api_exchange_core.application.accept_request import Accepted, AcceptRequest
from api_exchange_core.application.intake_limits import IntakeLimits
from api_exchange_core.application.prove_tenant import ProveTenant
from api_exchange_core.application.request import Refusal, Request, RequestRefusedError
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES, decode
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.http_app import http_app
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_testing import (
    InMemoryQueue,
    InMemoryRequestLog,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryWebhookSecrets,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INTAKE = QueueName("intake")
KEY = {"x-api-key": "key-of-customer-a"}


class Take(ProcessorInterface):
    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


class Breaks(MessagePublisher):
    """A transport that raises whatever its test says."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        raise self._error


class Door:
    """One HTTP function and one queue function, with two tenants that have a key each."""

    def __init__(self, publisher: MessagePublisher | None = None) -> None:
        exchange = Exchange("shop")
        self.intake = exchange.http("intake", "/orders", Take, tenant=TenantFromApiKey(header="X-API-Key"))
        self.inner = exchange.queue("inner", "inner", Take)
        clock = VirtualClock(NOW)
        self.observer = RecordingObserver()
        self.queue = InMemoryQueue(clock)
        tenants = InMemoryTenantDirectory()
        for tenant in (TenantId("customer-a"), TenantId("customer-b")):
            tenants.add([tenant], now=NOW)
            tenants.add_api_key(tenant, key_hash=api_key_hash(f"key-of-{tenant}"), now=NOW)
        sender = SendMessage(
            "shop", self.queue if publisher is None else publisher, clock, SeededRandomness(0), self.observer
        )
        prove = ProveTenant(tenants, InMemoryWebhookSecrets(), clock, self.observer)
        log = InMemoryRequestLog(InMemoryStore())
        self.accept = AcceptRequest(prove, sender, log, IntakeLimits(clock), clock)

    def stored(self) -> list[Message]:
        return [decode(message.body) for message in self.queue.messages(INTAKE)]

    def post(self) -> httpx.Response:
        """A request through the HTTP application."""
        app = http_app([self.intake], self.accept, bell=Bell(), observer=self.observer)

        async def post() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return await client.post("/orders", json={"n": 1}, headers=KEY)

        return asyncio.run(post())


def request(body: bytes = b'{"n": 1}', headers: dict[str, str] | None = None, **query: str) -> Request:
    return Request(headers=KEY if headers is None else headers, query=query, body=body)


def test_a_request_becomes_a_message_of_the_tenant_whose_key_it_carries() -> None:
    door = Door()
    first = door.accept.accept(door.intake, request())
    second = door.accept.accept(door.intake, request(headers={"x-api-key": "key-of-customer-b"}))
    assert [Accepted(message.id, message.correlation_id) for message in door.stored()] == [first, second]
    assert [(message.tenant_id, message.payload) for message in door.stored()] == [
        ("customer-a", {"n": 1}),
        ("customer-b", {"n": 1}),
    ]
    assert first != second


def test_a_tenant_that_a_request_names_itself_changes_nothing() -> None:
    door = Door()
    names = {**KEY, "x-tenant-id": "customer-b"}
    body = b'{"tenant_id": "customer-b", "tenantid": "customer-b"}'
    door.accept.accept(door.intake, request(body, names, tenant_id="customer-b"))
    assert [message.tenant_id for message in door.stored()] == ["customer-a"]


def test_the_query_counts_only_where_there_is_no_body() -> None:
    door = Door()
    door.accept.accept(door.intake, request(b"", since="1997-01-01"))
    door.accept.accept(door.intake, request(b"[]", since="1997-01-01"))
    door.accept.accept(door.intake, request(b""))
    assert [message.payload for message in door.stored()] == [{"since": "1997-01-01"}, [], {}]


@pytest.mark.parametrize(
    ("refused", "refusal"),
    [
        (request(headers={}), Refusal.UNAUTHENTICATED),
        (request(headers={"x-api-key": ""}), Refusal.UNAUTHENTICATED),
        (request(headers={"x-api-key": "key-of-customer-a "}), Refusal.UNAUTHENTICATED),
        (request(headers={"x-api-key": "\udcff"}), Refusal.UNAUTHENTICATED),
        (request(headers={"x-api-key": api_key_hash("key-of-customer-a")}), Refusal.UNAUTHENTICATED),
        (request(b" "), Refusal.UNREADABLE),
        (request(b'{"n": 1e999}'), Refusal.UNREADABLE),
        (request(b'"' + b"x" * MAX_MESSAGE_BYTES + b'"'), Refusal.TOO_LARGE),
        (request(b'"' + b"x" * (MAX_MESSAGE_BYTES - 2) + b'"'), Refusal.TOO_LARGE),
    ],
)
def test_what_is_refused_says_why_and_is_not_stored(refused: Request, refusal: Refusal) -> None:
    door = Door()
    with pytest.raises(RequestRefusedError) as raised:
        door.accept.accept(door.intake, refused)
    assert raised.value.refusal is refusal
    assert door.stored() == []


def test_neither_key_nor_payload_is_in_the_repr_of_a_request() -> None:
    text = repr(request(b'{"password": "hunter2"}', {"x-api-key": "hunter2"}, token="hunter2"))
    assert "hunter2" not in text


def test_a_function_that_no_request_starts_takes_none() -> None:
    door = Door()
    with pytest.raises(RequestRefusedError, match="'inner' takes no requests") as raised:
        door.accept.accept(door.inner, request())
    assert raised.value.refusal is Refusal.FORBIDDEN
    assert door.queue.depths() == {}


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_a_status_that_says_whose_fault_it_is(refusal: Refusal) -> None:
    assert 400 <= refusal.status < 500


def test_a_request_that_could_not_be_stored_is_to_be_sent_again() -> None:
    answer = Door(Breaks(TransientError("the database at 10.0.0.7 is away"))).post()
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert int(answer.headers["retry-after"]) > 0
    assert "10.0.0.7" not in answer.text


def test_an_error_of_ours_is_a_problem_that_quotes_nothing_of_it() -> None:
    door = Door(Breaks(ValueError("hunter2")))
    answer = door.post()
    assert [event.name for event in door.observer.events] == ["http.error"]
    assert "hunter2" not in repr(door.observer.events)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "not stored" in answer.json()["detail"]
    assert "hunter2" not in answer.text
