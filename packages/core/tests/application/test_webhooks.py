"""Taking in webhooks and repeated requests without a server: who is believed, and what is stored once."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Function,
    IntakeLimit,
    Message,
    PlainHmac,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    SlackSignature,
    StandardWebhooks,
    StripeSignature,
    TenantFromApiKey,
    TenantFromSignedField,
    TenantFromWebhook,
    TransientError,
)
from api_exchange_core.application.accept_request import UNDER_WAY, Accepted, AcceptRequest, Answer, Challenge
from api_exchange_core.application.request import Refusal, Request, RequestRefusedError
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.signatures import Flaw
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.request_log import RequestLog
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.webhook_secrets import WebhookSecrets
from api_exchange_testing import (
    Harness,
    InMemoryContainer,
    InMemoryRequestLog,
    InMemoryWebhookSecrets,
    VirtualClock,
    in_memory_container,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B = TenantId("customer-a"), TenantId("customer-b")
SECRETS = {tenant: "whsec_" + b64encode(f"secret of {tenant}".encode() * 2).decode() for tenant in (A, B)}


class Order(BaseModel):
    id: int


class Take(ProcessorInterface):
    payload_model = Order

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(external_id="o-1", canonical_type="order", source="shop", data=message.payload)
        return ProcessingResult.create_success()


class TakeAnything(ProcessorInterface):
    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


class Door:
    """An exchange that takes webhooks of all kinds, with two tenants that have secrets of their own."""

    def __init__(self) -> None:
        exchange = Exchange("shop", tenants=[A, B, "disabled", "secretless"])
        self.hooks = exchange.http(
            "hooks", "/hooks/{tenant}", Take, tenant=TenantFromWebhook(StandardWebhooks(), secrets="shop")
        )
        field = TenantFromSignedField(
            StripeSignature(), "stripe", "/account", {"acct_1": A, "acct_9": "gone"}
        )
        self.stripe = exchange.http("stripe", "/stripe", TakeAnything, tenant=field)
        field = TenantFromSignedField(SlackSignature(), "slack", "/team_id", {"T1": A})
        self.slack = exchange.http("slack", "/slack", TakeAnything, tenant=field)
        plain = TenantFromWebhook(PlainHmac("X-Sig"), secrets="plain")
        self.plain = exchange.http("plain", "/plain/{tenant}", TakeAnything, tenant=plain)
        self.keyed = exchange.http("keyed", "/keyed", Take, tenant=TenantFromApiKey(), limit=IntakeLimit(50))
        self.clock = VirtualClock(NOW)
        self.container: InMemoryContainer = in_memory_container(exchange, clock=self.clock)
        self.harness = Harness(exchange, container=self.container)
        self.secrets = InMemoryWebhookSecrets()
        self.container.use_cases.webhook_secrets.override(self.secrets)
        self.taker: AcceptRequest = self.container.use_cases.accept()
        for tenant in (A, B):
            self.secrets.set(tenant, "shop", SECRETS[tenant])
            self.secrets.set(tenant, "plain", f"plain of {tenant}")
            self.container.tenants().add_api_key(tenant, key_hash=api_key_hash(f"key of {tenant}"), now=NOW)
        self.secrets.set("disabled", "shop", SECRETS[B])
        self.secrets.set("nobody", "shop", SECRETS[B])
        self.secrets.set(None, "stripe", "whsec_stripe")
        self.secrets.set(None, "slack", "slack secret")
        self.container.tenants().set_enabled(TenantId("disabled"), enabled=False)

    def accept(self, function: Function, request: Request) -> Answer:
        return self.taker.accept(function, request)

    def refusal(self, function: Function, request: Request) -> RequestRefusedError:
        before = self.stored()
        with pytest.raises(RequestRefusedError) as raised:
            self.accept(function, request)
        assert self.stored() == before
        return raised.value

    def stored(self) -> list[Message]:
        queues = self.container.queue()
        return [decode(message.body) for queue in queues.depths() for message in queues.messages(queue)]

    def flaws(self) -> list[object]:
        return [event.facts["flaw"] for event in self.harness.events("request.unproven")]


@pytest.fixture
def door() -> Door:
    return Door()


def webhook(
    tenant: str | None = A,
    *,
    signed_by: str = A,
    id_: str = "msg_1",
    at: datetime = NOW,
    body: bytes = b'{"id": 1}',
    headers: Mapping[str, str] | None = None,
) -> Request:
    seconds = str(int(at.timestamp()))
    key = f"secret of {signed_by}".encode() * 2
    digest = hmac.new(key, f"{id_}.{seconds}.".encode() + body, "sha256").digest()
    own = {
        "webhook-id": id_,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }
    return Request(headers={**own, **(headers or {})}, query={}, body=body, tenant=tenant)


def stripe(payload: dict[str, Any], *, at: datetime = NOW, secret: bytes = b"whsec_stripe") -> Request:
    body, seconds = json.dumps(payload).encode(), str(int(at.timestamp()))
    digest = hmac.new(secret, f"{seconds}.".encode() + body, "sha256").hexdigest()
    return Request(headers={"stripe-signature": f"t={seconds},v1={digest}"}, query={}, body=body)


def slack(body: bytes, content_type: str, *, at: datetime = NOW) -> Request:
    seconds = str(int(at.timestamp()))
    digest = hmac.new(b"slack secret", f"v0:{seconds}:".encode() + body, "sha256").hexdigest()
    headers = {"x-slack-signature": f"v0={digest}", "x-slack-request-timestamp": seconds}
    return Request(headers={**headers, "content-type": content_type}, query={}, body=body)


def plain(body: bytes, *, signed_by: str = A, **query: str) -> Request:
    digest = hmac.new(f"plain of {signed_by}".encode(), body, "sha256").hexdigest()
    return Request(headers={"x-sig": digest}, query=query, body=body, tenant=A)


def keyed(
    key: str | None = None, *, tenant: TenantId = A, body: bytes = b'{"id": 1}', **query: str
) -> Request:
    headers = {"x-api-key": f"key of {tenant}"} | ({} if key is None else {"idempotency-key": key})
    return Request(headers=headers, query=query, body=body)


def test_a_webhook_becomes_a_message_of_the_tenant_whose_secret_signed_it(door: Door) -> None:
    for tenant in (A, B):
        door.accept(door.hooks, webhook(tenant, signed_by=tenant))
    assert [(one.tenant_id, one.payload) for one in door.stored()] == [(A, {"id": 1}), (B, {"id": 1})]


STRANGERS: Mapping[str, tuple[Request, Flaw]] = {
    "another tenant's secret": (webhook(A, signed_by=B), Flaw.MISMATCH),
    "an unknown secret": (webhook(A, signed_by="stranger"), Flaw.MISMATCH),
    "an unknown tenant": (webhook("unknown", signed_by=A), Flaw.UNKEYED),
    "no tenant's id": (webhook("../customer-a", signed_by=A), Flaw.UNKEYED),
    "the id that is asked for in place of no id": (webhook("nobody", signed_by=B), Flaw.UNKEYED),
    "no tenant": (webhook(None, signed_by=B), Flaw.UNKEYED),
    "a tenant without secrets": (webhook("secretless", signed_by=A), Flaw.UNKEYED),
    "a disabled tenant, and a wrong secret": (webhook("disabled", signed_by=A), Flaw.MISMATCH),
    "too late": (webhook(at=NOW - timedelta(minutes=6)), Flaw.OUT_OF_TIME),
    "too early": (webhook(at=NOW + timedelta(minutes=6)), Flaw.OUT_OF_TIME),
    "nothing": (Request(headers={}, query={}, body=b'{"id": 1}', tenant=A), Flaw.MISSING),
    "an API key": (
        Request(headers={"x-api-key": f"key of {A}"}, query={}, body=b'{"id": 1}', tenant=A),
        Flaw.MISSING,
    ),
}


@pytest.mark.parametrize("why", STRANGERS)
def test_whatever_is_wrong_with_a_proof_the_caller_is_told_the_same(door: Door, why: str) -> None:
    request, flaw = STRANGERS[why]
    refused = door.refusal(door.hooks, request)
    assert (refused.refusal, str(refused), refused.headers) == (
        Refusal.UNAUTHENTICATED,
        "the request is not signed as it has to be",
        {"WWW-Authenticate": "Signature"},
    )
    assert door.flaws() == [flaw]


@pytest.mark.parametrize("tenant", [A, "unknown", "../customer-a", None, "disabled", "secretless"])
def test_for_each_tenant_the_same_is_asked(door: Door, tenant: str | None) -> None:
    asked: list[str] = []

    class Asked:
        """A port that notes which of its methods are called."""

        def __init__(self, port: object) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(self._port, name)

    prove = replace(
        door.taker.prove,
        tenants=cast("TenantDirectory", Asked(door.container.tenants())),
        secrets=cast("WebhookSecrets", Asked(door.secrets)),
    )
    door.taker = replace(door.taker, prove=prove)
    door.refusal(door.hooks, webhook(tenant, signed_by="stranger"))
    assert asked == ["get", "secrets_of"]


def test_a_tenant_that_is_disabled_is_told_so_if_it_is_that_tenant(door: Door) -> None:
    assert door.refusal(door.hooks, webhook("disabled", signed_by=B)).refusal is Refusal.FORBIDDEN


def test_an_erased_tenant_is_as_unknown_as_one_that_never_was(door: Door) -> None:
    door.container.tenants().set_enabled(B, enabled=False)
    door.container.tenants().mark_erased(B, now=NOW)
    assert door.refusal(door.hooks, webhook(B, signed_by=B)).refusal is Refusal.UNAUTHENTICATED


def test_while_its_secret_rotates_a_tenant_may_sign_with_either(door: Door) -> None:
    door.secrets.set(A, "shop", "whsec_" + b64encode(b"new" * 10).decode(), SECRETS[A])
    assert isinstance(door.accept(door.hooks, webhook()), Accepted)
    door.secrets.set(A, "shop", "whsec_" + b64encode(b"new" * 10).decode())
    assert door.refusal(door.hooks, webhook(id_="msg_2")).refusal is Refusal.UNAUTHENTICATED


def test_a_secret_that_is_none_of_the_scheme_proves_nothing_and_is_told(door: Door) -> None:
    door.secrets.set(A, "shop", "not base64!")
    door.refusal(door.hooks, webhook())
    assert door.flaws() == [Flaw.UNKEYED]


def test_a_delivery_that_comes_again_is_answered_as_before_and_makes_no_second_message(door: Door) -> None:
    first = door.accept(door.hooks, webhook())
    door.clock.advance(timedelta(minutes=4))
    again = door.accept(door.hooks, webhook())
    retried = door.accept(door.hooks, webhook(at=door.clock.now()))
    assert first == again == retried
    assert len(door.stored()) == 1
    assert door.accept(door.hooks, webhook(id_="msg_2")) != first
    assert door.accept(door.hooks, webhook(B, signed_by=B)) != first
    assert len(door.stored()) == 3


def test_a_key_of_idempotency_makes_no_second_delivery_of_what_is_replayed(door: Door) -> None:
    replayed = [webhook(headers={"idempotency-key": key}) for key in ("a", "b")]
    assert len({door.accept(door.hooks, request) for request in replayed}) == 1


def test_a_retry_that_is_signed_anew_is_known_by_the_event_s_id(door: Door) -> None:
    event = {"id": "evt_1", "account": "acct_1", "pending_webhooks": 1}
    first = door.accept(door.stripe, stripe(event))
    door.clock.advance(timedelta(hours=1))
    again = stripe({**event, "pending_webhooks": 0}, at=door.clock.now())
    assert door.accept(door.stripe, again) == first
    assert [message.tenant_id for message in door.stored()] == [A]


def test_a_delivery_without_id_is_known_by_its_body(door: Door) -> None:
    first = door.accept(door.plain, plain(b'{"id": 1}'))
    assert door.accept(door.plain, plain(b'{"id": 1}')) == first
    assert door.accept(door.plain, plain(b'{"id": 2}')) != first


def test_a_query_that_nobody_signed_says_nothing(door: Door) -> None:
    assert door.refusal(door.plain, plain(b"", id="1")).refusal is Refusal.UNREADABLE
    door.accept(door.plain, plain(b"{}", id="1"))
    assert [message.payload for message in door.stored()] == [{}]


@pytest.mark.parametrize("account", ["acct_2", "acct_9", A, None])
def test_a_signed_field_that_names_nobody_is_refused(door: Door, account: str | None) -> None:
    refused = door.refusal(door.stripe, stripe({"id": "evt_1", "account": account}))
    assert refused.refusal is Refusal.FORBIDDEN


def test_the_secret_of_a_tenant_is_none_of_the_application(door: Door) -> None:
    door.secrets.set(A, "stripe", "whsec_of_a")
    refused = door.refusal(door.stripe, stripe({"account": "acct_1"}, secret=b"whsec_of_a"))
    assert refused.refusal is Refusal.UNAUTHENTICATED


def test_slack_s_challenge_is_answered_and_stores_nothing(door: Door) -> None:
    body = b'{"type": "url_verification", "challenge": "3eZbrw1a"}'
    assert door.accept(door.slack, slack(body, "application/json")) == Challenge("3eZbrw1a")
    assert door.stored() == []


def test_slack_s_challenge_has_to_be_signed(door: Door) -> None:
    body = b'{"type": "url_verification", "challenge": "3eZbrw1a"}'
    request = slack(body, "application/json", at=NOW - timedelta(hours=1))
    assert door.refusal(door.slack, request).refusal is Refusal.UNAUTHENTICATED


def test_a_form_is_an_object_of_its_fields(door: Door) -> None:
    body = b"team_id=T1&text=gr%C3%BC%C3%9Fe+all&empty=&to=a&to=b"
    door.accept(door.slack, slack(body, "application/x-www-form-urlencoded; charset=utf-8"))
    (message,) = door.stored()
    assert message.payload == {"team_id": "T1", "text": "grüße all", "empty": "", "to": ["a", "b"]}


@pytest.mark.parametrize("body", [b"a=%FF", "a=ü".encode(), b"&".join([b"a=1"] * 1_001), b""])
def test_a_form_that_cannot_be_read_is_refused(door: Door, body: bytes) -> None:
    refused = door.refusal(door.slack, slack(body, "application/x-www-form-urlencoded"))
    assert refused.refusal is Refusal.UNREADABLE


@pytest.mark.parametrize(
    ("headers", "is_read"),
    [
        ({}, True),
        ({"content-type": "application/json"}, True),
        ({"content-type": "Application/CloudEvents+JSON; Charset=UTF-8"}, True),
        ({"content-type": "text/plain; charset=us-ascii"}, True),
        ({"content-encoding": "identity"}, True),
        ({"content-type": "application/xml"}, False),
        ({"content-type": "multipart/form-data; boundary=x"}, False),
        ({"content-type": "application/json; charset=utf-16"}, False),
        ({"content-encoding": "gzip"}, False),
        ({"content-encoding": "identity, identity"}, False),
    ],
)
def test_what_is_neither_json_nor_a_form_is_not_read(
    door: Door, headers: dict[str, str], is_read: bool
) -> None:
    if is_read:
        assert isinstance(door.accept(door.hooks, webhook(headers=headers)), Accepted)
    else:
        assert door.refusal(door.hooks, webhook(headers=headers)).refusal is Refusal.UNSUPPORTED


def test_a_request_with_a_key_is_taken_in_once(door: Door) -> None:
    first = door.accept(door.keyed, keyed("key-1"))
    assert door.accept(door.keyed, keyed('"key-1"')) == first
    assert len(door.stored()) == 1
    assert len({first, door.accept(door.keyed, keyed("key-2")), door.accept(door.keyed, keyed())}) == 3
    assert door.accept(door.keyed, keyed("key-1", tenant=B)) != first


@pytest.mark.parametrize("other", [keyed("key-1", body=b'{"id": 2}'), keyed("key-1", dry="1")])
def test_a_key_that_comes_with_another_request_is_refused(door: Door, other: Request) -> None:
    door.accept(door.keyed, keyed("key-1"))
    refused = door.refusal(door.keyed, other)
    assert (refused.refusal, "Idempotency-Key" in str(refused)) == (Refusal.INVALID, True)


def test_what_was_refused_reserves_no_key(door: Door) -> None:
    for body in (b'{"id": "x"}', b"{"):
        door.refusal(door.keyed, keyed("key-1", body=body))
    assert isinstance(door.accept(door.keyed, keyed("key-1")), Accepted)


@pytest.mark.parametrize("key", ["", "a, b", "a" * 256])
def test_what_is_no_key_is_refused_before_the_body_is_read(door: Door, key: str) -> None:
    with pytest.raises(RequestRefusedError) as raised:
        door.taker.admit(door.keyed, keyed(key))
    assert raised.value.refusal is Refusal.UNREADABLE


def test_whoever_asks_too_often_is_told_when_to_come_back(door: Door) -> None:
    for number in range(50):
        door.accept(door.keyed, keyed(f"key-{number}"))
    refused = door.refusal(door.keyed, keyed("key-50"))
    assert (refused.refusal, refused.headers) == (Refusal.TOO_MANY, {"Retry-After": "1"})
    door.accept(door.keyed, keyed("key-50", tenant=B))
    door.clock.advance(timedelta(seconds=1))
    door.accept(door.keyed, keyed("key-50"))


class Crash(BaseException):
    """The process ends."""


class Counted:
    """A port whose calls are counted; at one of them the process ends, before it takes effect or after."""

    def __init__(self, port: object, steps: Steps) -> None:
        self._port, self._steps = port, steps

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._port, name)

        def call(*args: Any, **options: Any) -> Any:
            self._steps.step()
            answer = method(*args, **options)
            self._steps.step()
            return answer

        return call


class Steps:
    """Counts, and fails at one of them."""

    def __init__(self, at: int | None, error: BaseException) -> None:
        self.count, self._at, self._error = 0, at, error

    def step(self) -> None:
        self.count += 1
        if self.count == self._at:
            raise self._error


def interposed(door: Door, steps: Steps) -> None:
    log = Counted(InMemoryRequestLog(door.container.store()), steps)
    publisher = cast("MessagePublisher", Counted(door.container.queue(), steps))
    sender = replace(door.taker.sender, publisher=publisher)
    door.taker = replace(door.taker, requests=cast("RequestLog", log), sender=sender)


@pytest.mark.parametrize("error", [Crash(), TransientError("the store is away")], ids=["crash", "away"])
@pytest.mark.parametrize("at", range(1, 7))
def test_wherever_it_breaks_off_the_next_try_stores_it_and_it_takes_effect_once(
    at: int, error: BaseException
) -> None:
    door = Door()
    interposed(door, Steps(at, error))
    with pytest.raises((Crash, TransientError)):
        door.accept(door.hooks, webhook())
    interposed(door, Steps(None, error))
    answers: list[Answer] = []
    for _ in range(3):
        door.clock.advance(UNDER_WAY)
        answers.append(door.accept(door.hooks, webhook(at=door.clock.now())))
    assert len(set(answers)) == 1
    assert {message.id for message in door.stored()} == {
        answer.message_id for answer in answers if isinstance(answer, Accepted)
    }
    door.harness.run()
    assert door.harness.counts["hooks"]["completed"] == 1


def test_there_are_as_many_places_to_break_off_as_are_tried() -> None:
    door, steps = Door(), Steps(None, Crash())
    interposed(door, steps)
    door.accept(door.hooks, webhook())
    assert steps.count == 6


def test_while_one_takes_it_in_another_is_told_to_wait() -> None:
    door = Door()
    interposed(door, Steps(3, Crash()))
    with pytest.raises(Crash):
        door.accept(door.keyed, keyed("key-1"))
    door.clock.advance(UNDER_WAY - timedelta(microseconds=1))
    refused = door.refusal(door.keyed, keyed("key-1"))
    assert (refused.refusal, refused.headers) == (Refusal.UNDER_WAY, {"Retry-After": "10"})


@given(st.lists(st.sampled_from(range(4)), max_size=12))
def test_however_deliveries_repeat_each_takes_effect_once(order: Sequence[int]) -> None:
    door = Door()
    for number in order:
        door.accept(door.hooks, webhook(id_=f"msg_{number}", body=b'{"id": %d}' % number))
    payloads = [message.payload for message in door.stored()]
    assert payloads == [{"id": number} for number in dict.fromkeys(order)]


def test_each_request_of_a_sender_whose_bodies_repeat_is_a_message() -> None:
    exchange = Exchange("shop", tenants=[A])
    changed = exchange.http(
        "changed",
        "/changed/{tenant}",
        TakeAnything,
        tenant=TenantFromWebhook(PlainHmac("X-Sig", bodies_repeat=True), secrets="plain"),
    )
    container = in_memory_container(exchange)
    secrets = InMemoryWebhookSecrets()
    secrets.set(A, "plain", f"plain of {A}")
    container.use_cases.webhook_secrets.override(secrets)
    accept: AcceptRequest = container.use_cases.accept()
    answers = [accept.accept(changed, plain(b'{"stock": "changed"}')) for _ in range(2)]
    assert len({answer.message_id for answer in answers if isinstance(answer, Accepted)}) == 2
