"""Secrets and payload values are planted in a database and in what commands are given, and sought in what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryPolicy,
)
from api_exchange_core.adapters.crypto.aes_gcm import KEYRING
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.containers.local import LocalSettings, prepared_container
from api_exchange_core.domain.credentials import SystemName
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.memory.observer import RecordingObserver

SECRET = "hunter2Zq81secret"
PAYLOAD = "Mister4711Payload"
SECRET_TEXT = f"GET https://bob:{SECRET}@shop.example/?api_key={SECRET} with Authorization: Bearer {SECRET}"
CUSTOMER, INBOX = TenantId("customer-a"), QueueName("inbox")
EXCHANGE = """
from pydantic import BaseModel
from api_exchange_core import Exchange

class ShopConfig(BaseModel):
    pages: int = 1

exchange = Exchange("shop", tenants=["customer-a"], tenant_config=ShopConfig)
"""


class Ended(NamedTuple):
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


Run = Callable[..., Ended]


class Fails(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        error = ConnectionError if context.attempt == 1 else PermanentError
        raise error(SECRET_TEXT) from KeyError(PAYLOAD)


class Keeps(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(
            external_id="1", canonical_type="order", source="shop", data={"name": PAYLOAD, "password": SECRET}
        )
        return ProcessingResult.create_success()


class Left(NamedTuple):
    """What can be asked for."""

    request: str
    fingerprint: str
    letter: str


@pytest.fixture
def left(
    api_exchange: Run, write: Callable[[str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Left]:
    """A database with a message that was kept, one that failed twice and died, and bytes that are no message."""
    write("shop_s.py", EXCHANGE)
    url = f"sqlite:///{tmp_path}/shop.db"
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", url)
    exchange = Exchange("shop", tenants=[CUSTOMER])
    retry = RetryPolicy(max_attempts=3, base_delay=timedelta.resolution, max_delay=timedelta.resolution)
    functions = [
        exchange.queue("fail", INBOX, Fails, retry=retry),
        exchange.queue("keep", "kept", Keeps),
    ]
    container = prepared_container(
        exchange, LocalSettings(database_url=SecretStr(url)), observer=RecordingObserver()
    )
    sender, queue = container.use_cases.sender(), container.queue()
    payload = {"name": PAYLOAD, "password": SECRET}
    message = sender.send(INBOX, payload, tenant_id=CUSTOMER, metadata={"authorization": SECRET})
    sender.send(QueueName("kept"), payload, tenant_id=CUSTOMER)
    monkeypatch.setenv(KEYRING, new_entry("k1"))
    account = f'{{"user": "{PAYLOAD}", "password": "{SECRET}"}}'.encode()
    keep = container.operations.keep_credentials()
    keep.set(CUSTOMER, SystemName("erp"), account, by="ann", on_version=0)
    raw = f"{SECRET} {PAYLOAD}".encode()
    queue.publish([Outgoing(queue=INBOX, tenant_id=CUSTOMER, message_id=MessageId("raw"), body=raw)])
    for function in functions * 3:
        deliveries = queue.receive(function.input_queue, max_messages=10, visibility=timedelta(minutes=5))
        queue.settle(container.use_cases.handler().handle(function, deliveries))
    letters = json.loads(api_exchange("dlq", "list", "--each", "--json").out)
    failures = json.loads(api_exchange("errors", "list", "--json").out)
    [letter] = [one["id"] for one in letters if message.id in json.dumps(one)]
    [fingerprint, *_] = [one["fingerprint"] for one in failures if one["code"] == "PermanentError"]
    yield Left(message.correlation_id, fingerprint, letter)
    container.engine().dispose()


QUESTIONS = (
    "status",
    "queues",
    "messages",
    "messages --state dead",
    "trace {request}",
    "errors list",
    "errors show {fingerprint}",
    "dlq list",
    "dlq list --each",
    "dlq show {letter}",
    "tenants list",
    "tenants config customer-a",
    "tenants erasures",
    "credentials list",
    "credentials reseal",
    "db doctor",
    "entity find --external-id 1",
)


@pytest.mark.parametrize("form", ["", "--json"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_holds_no_secret_and_no_payload(
    api_exchange: Run, left: Left, question: str, form: str
) -> None:
    words = [word.format(**left._asdict()) for word in question.split()]
    ended = api_exchange(*words, *([form] if form else []))
    assert "No such" not in ended.err
    assert ended.out
    assert SECRET not in ended.out + ended.err
    assert PAYLOAD not in ended.out + ended.err


def test_a_payload_is_shown_to_whoever_asks_for_it(api_exchange: Run, left: Left) -> None:
    assert PAYLOAD in api_exchange("dlq", "show", left.letter, "--payload").out


@pytest.mark.parametrize(
    "words", [("--set", f"pages={PAYLOAD}"), ("--set", f"password={SECRET}"), ("--set", f'pages="{SECRET}"')]
)
def test_a_value_that_does_not_fit_is_not_repeated(
    api_exchange: Run, left: Left, words: tuple[str, ...]
) -> None:
    ended = api_exchange("tenants", "config", "customer-a", "--exchange", "shop_s:exchange", *words)
    assert ended.exit_code != 0
    assert SECRET not in ended.out + ended.err
    assert PAYLOAD not in ended.out + ended.err


@pytest.mark.parametrize(
    "command", ["db doctor", "db upgrade", "status", "dlq list", "errors list", "tenants list", "queues"]
)
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://shop:{SECRET}@127.0.0.1:1/shop",
        f"postgresql://shop@127.0.0.1:1/shop?password={SECRET}",
        f"postgresql://shop:{SECRET}@/w@127.0.0.1:1/shop",
        f"mysql://shop:{SECRET}@127.0.0.1/shop",
    ],
)
def test_the_password_of_a_database_is_not_repeated(api_exchange: Run, command: str, url: str) -> None:
    ended = api_exchange(*command.split(), "--database-url", url)
    assert ended.exit_code != 0
    assert ended.err
    assert SECRET not in ended.out + ended.err
