"""What applications and libraries log goes through the same lines as the framework's own, and loses its secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, SecretBytes, SecretStr

from api_exchange_core import Message, PermanentError
from api_exchange_core.adapters.telemetry.logging import configure_logging
from api_exchange_core.adapters.telemetry.observer import StructlogObserver
from api_exchange_core.adapters.telemetry.redaction import Redaction
from api_exchange_core.domain.names import MessageId, TenantId

SECRET = "hunter2canary"


class Log:
    def __init__(self) -> None:
        self._written = io.StringIO()

    def configure(
        self, *, json: bool = True, level: str = "INFO", secret_names: tuple[str, ...] = ()
    ) -> None:
        with redirect_stderr(self._written):
            configure_logging(json=json, level=level, secret_names=secret_names)

    @property
    def text(self) -> str:
        return self._written.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        [line] = self.lines
        return line


@pytest.fixture
def log() -> Iterator[Log]:
    before = structlog.get_config() if structlog.is_configured() else None
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log = Log()
    log.configure()
    yield log
    root.handlers[:] = handlers
    root.setLevel(level)
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)


class Login(BaseModel):
    user: str
    password: str
    pin: SecretStr


@dataclass(frozen=True)
class Quiet:
    user: str
    content: str = field(repr=False)


class Vault:
    """Another library's secret."""

    def get_secret_value(self) -> str:
        return SECRET


class Mute:
    def __str__(self) -> str:
        raise RuntimeError(SECRET)


MESSAGE = Message(
    id=MessageId("m-1"),
    tenant_id=TenantId("acme"),
    source="/shop",
    payload={"name": SECRET},
    time=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="c-1",
    metadata={"note": SECRET},
)


@pytest.mark.parametrize(
    "facts",
    [
        {"password": SECRET},
        {"db_password": 7_777_777},
        {"headers": {"Authorization": SECRET, "accept": "*/*"}},
        {"calls": [{"request": {"cookies": {"session": SECRET}}}]},
        {"pair": ("ok", {"api_key": SECRET})},
        {"value": SecretStr(SECRET)},
        {"value": SecretBytes(SECRET.encode())},
        {"value": [Vault()]},
        {"value": SECRET.encode()},
        {"value": bytearray(SECRET.encode())},
        {"value": memoryview(SECRET.encode())},
        {"value": ValueError(SECRET)},
        {"value": [KeyError(SECRET)]},
        {"value": PermanentError(f"password={SECRET}")},
        {"value": Login(user="bob", password=SECRET, pin=SecretStr(SECRET))},
        {"value": Quiet("bob", SECRET)},
        {"value": MESSAGE},
        {"value": Mute()},
        {"url": f"postgresql://shop:{SECRET}@db/shop"},
        {"note": f"sent with Bearer {SECRET}"},
        {"error": f"sent with Bearer {SECRET}", "message_id": "m-1"},
        {SECRET.encode(): 1},
        {f"https://bob:{SECRET}@shop": 1},
        {"deep": {"1": {"2": {"3": {"4": {"5": {"6": {"7": {"8": {"9": {"password": SECRET}}}}}}}}}}},
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_is_in_a_line_whatever_it_is_handed_in(
    log: Log, facts: dict[Any, Any], as_json: bool
) -> None:
    log.configure(json=as_json)
    structlog.get_logger().info("seen", fact=facts)
    if all(isinstance(name, str) and name.isidentifier() for name in facts):
        structlog.get_logger().info("seen", **facts)
    assert "seen" in log.text
    assert SECRET not in log.text
    assert "7777777" not in log.text


def test_what_is_no_secret_stays_as_it_is() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    facts = {
        "event": "seen",
        "token_id": 7,
        "nothing": None,
        "password": None,
        "amount": Decimal("1.50"),
        "at": moment,
        "rows": [1, 2.5, True, "größe"],
        "of": {"a": {"b": "c"}},
    }
    assert Redaction()(None, "info", dict(facts)) == facts


def test_a_model_is_told_by_its_fields_and_an_error_of_ours_by_its_text() -> None:
    told = Redaction()(
        None,
        "info",
        {
            "login": Login(user="bob", password=SECRET, pin=SecretStr(SECRET)),
            "ours": PermanentError("no such order"),
            "other": ValueError(SECRET),
            "body": b"12345",
        },
    )
    assert told == {
        "login": {"user": "bob", "password": "[redacted]", "pin": "[redacted]"},
        "ours": "PermanentError: no such order",
        "other": "ValueError",
        "body": "<5 bytes>",
    }


def test_an_application_names_further_secrets(log: Log) -> None:
    log.configure(secret_names=("iban", "tax_number"))
    structlog.get_logger().info("seen", customer_iban=SECRET, taxNumber=SECRET, name="bob")
    assert (log.line["customer_iban"], log.line["taxNumber"], log.line["name"]) == (
        "[redacted]",
        "[redacted]",
        "bob",
    )


def test_a_line_of_the_standard_library_is_a_line_like_ours_with_the_ids_of_its_message(log: Log) -> None:
    with StructlogObserver().bound(tenant_id="acme", message_id="m-1"):
        logging.getLogger("shop.client").info("asked %s", "https://shop.example", extra={"page": 2})
    line = log.line
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {
        "event": "asked https://shop.example",
        "level": "info",
        "logger": "shop.client",
        "tenant_id": "acme",
        "message_id": "m-1",
        "page": 2,
    }


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_of_the_standard_library_loses_its_secrets(log: Log, as_json: bool) -> None:
    log.configure(json=as_json)
    logger = logging.getLogger("shop.client")
    logger.warning("asked https://bob:%s@shop.example", SECRET)
    logger.warning("sent %r", {"password": SECRET}, extra={"api_key": SECRET})
    try:
        raise ConnectionError(f"postgresql://shop:{SECRET}@db is down")  # noqa: TRY301 - stands for a driver's error
    except ConnectionError as error:
        try:
            raise TimeoutError(f"Authorization: Bearer {SECRET}") from error  # noqa: TRY301 - and for a client's
        except TimeoutError:
            logger.exception("gave up")
            structlog.get_logger().exception("gave up")
    assert "TimeoutError" in log.text
    assert "ConnectionError" in log.text
    assert SECRET not in log.text


def test_levels_hold_for_both(log: Log) -> None:
    log.configure(level="WARNING")
    structlog.get_logger().info("no")
    logging.getLogger("shop").info("no")
    logging.getLogger("shop").warning("yes")
    structlog.get_logger().warning("yes")
    assert [line["event"] for line in log.lines] == ["yes", "yes"]


def test_http_clients_tell_of_each_request_only_when_they_are_asked_to(log: Log) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET ...")
    assert log.text == ""
    log.configure(level="DEBUG")
    logging.getLogger("httpx").info("HTTP Request: GET ...")
    assert log.line["logger"] == "httpx"


def test_configuring_again_replaces_what_was_configured_and_leaves_others_alone(log: Log) -> None:
    others = [handler for handler in logging.getLogger().handlers if type(handler).__name__ != "_Handler"]
    for _ in range(3):
        log.configure()
    logging.getLogger("shop").warning("once")
    assert len(log.lines) == 1
    assert [handler for handler in logging.getLogger().handlers if handler in others] == others


def test_lines_for_machines_begin_with_when_how_bad_and_what(log: Log) -> None:
    structlog.get_logger().info("seen", aardvark=1)
    assert list(log.line) == ["timestamp", "level", "event", "aardvark"]


def test_lines_for_people_leave_out_what_is_as_usual(log: Log) -> None:
    log.configure(json=False)
    structlog.get_logger().info("seen", attempt=1, outputs=0, entities=3, correlation_id="c-1", ok=True)
    assert log.text.rstrip().endswith("seen entities=3 ok=True")
