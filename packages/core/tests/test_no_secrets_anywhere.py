"""Secrets and payload values are planted in every path, failures included, and sought wherever something is told.

A secret is in no log line, span, metric, error text, answer or repr. A payload is content: it is in queues, in the
bodies of dead letters and in output files, and where the text of somebody else's error quotes it, in the errors table;
it is in nothing else that is told.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
import structlog
from dependency_injector import providers
from opentelemetry import trace as otel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, SecretStr
from typing_extensions import override

from api_exchange_core import (
    DeferError,
    EntityReference,
    Exchange,
    ExchangeError,
    Exclusive,
    FileOutputHandler,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
    TenantFromApiKey,
    TransientError,
    tenant_context,
)
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.telemetry.logging import configure_logging
from api_exchange_core.adapters.telemetry.metrics import Metrics
from api_exchange_core.adapters.telemetry.observers import TelemetryObserver
from api_exchange_core.adapters.telemetry.tracing import Tracing
from api_exchange_core.application.call import Call, Incoming
from api_exchange_core.application.chores import Chore, Done
from api_exchange_core.application.request import Request
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.cli.settings import settings_with
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.content_hash import HashKey
from api_exchange_core.domain.delivery import DeadLetter, Delivery, Settlement
from api_exchange_core.domain.envelope import decode_failure
from api_exchange_core.domain.failure import Failure, Problem
from api_exchange_core.domain.names import MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_core.domain.output import OutputMessage
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.domain.tenant_config import checked_config, config_of
from api_exchange_core.domain.trace_context import TraceContext
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.http_app import http_app
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Handled, Outcome
from api_exchange_core.ports.outbox import OutboxRow, OutgoingLine

SECRET = "hunter2Zq81secret"
PAYLOAD = "Mister4711Payload"
KEY = "key-of-customer-a-7f3a"

CUSTOMER = TenantId("customer-a")
INBOX, KEPT = QueueName("inbox"), QueueName("kept")
CONTENT: dict[str, Any] = {
    "id": "1",
    "name": PAYLOAD,
    "password": SECRET,
    "url": f"https://bob:{SECRET}@shop.example",
}
METADATA = {"authorization": f"Bearer {SECRET}", "note": PAYLOAD}

SECRET_TEXT = f"GET https://bob:{SECRET}@shop.example/?api_key={SECRET} with Authorization: Bearer {SECRET}"

Step = Callable[[Message, ProcessorContext], ProcessingResult]


class Does(ProcessorInterface):
    def __init__(self, step: Step) -> None:
        self.step = step

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        structlog.get_logger().info(
            "asking", url=SECRET_TEXT, headers={"authorization": SECRET}, token=SecretStr(SECRET)
        )
        logging.getLogger("shop").info("asking %s", SECRET_TEXT)
        otel.get_current_span().set_attribute("of.the.application", 1)
        return self.step(message, context)


class Order(BaseModel):
    id: int
    name: int


class Strict(Does):
    payload_model = Order


def done(*handlers: QueueOutputHandler | FileOutputHandler) -> ProcessingResult:
    result = ProcessingResult.create_success()
    for handler in handlers:
        result.add_output_handler(handler)
    return result


def keeping(message: Message, context: ProcessorContext) -> ProcessingResult:
    context.persist_entity(external_id="1", canonical_type="order", source="shop", data=message.payload)
    return done(QueueOutputHandler(KEPT, properties={"token": SECRET}), FileOutputHandler("kept.jsonl"))


def raising(error: BaseException) -> Step:
    def step(_: Message, __: ProcessorContext) -> ProcessingResult:
        raise error

    return step


def raising_a_chain(_: Message, __: ProcessorContext) -> ProcessingResult:
    try:
        raise KeyError(PAYLOAD)  # noqa: TRY301 - stands for what some client raises
    except KeyError as error:
        raise ConnectionError(SECRET_TEXT) from error


def reading_a_model(message: Message, _: ProcessorContext) -> ProcessingResult:
    Order.model_validate(message.payload)
    return done()


def asking_a_database(_: Message, __: ProcessorContext) -> ProcessingResult:
    engine = sqlalchemy.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text("INSERT INTO nowhere VALUES (:a, :b)"), {"a": PAYLOAD, "b": SECRET}
            )
    finally:
        engine.dispose()
    return done()


def keeping_nan(_: Message, context: ProcessorContext) -> ProcessingResult:
    context.persist_entity(
        external_id="1", canonical_type="order", source="shop", data={**CONTENT, "n": float("nan")}
    )
    return done()


def sending_too_much(_: Message, __: ProcessorContext) -> ProcessingResult:
    result = done(QueueOutputHandler(KEPT))
    result.add_output_message({"name": PAYLOAD * 100_000}, metadata=METADATA)
    return result


def sending_nowhere(_: Message, __: ProcessorContext) -> ProcessingResult:
    result = ProcessingResult.create_success()
    result.add_output_message(CONTENT)
    return result


def answering_something_else(message: Message, _: ProcessorContext) -> ProcessingResult:
    return message.payload  # type: ignore[return-value] # what a processor should not do


def failing(_: Message, __: ProcessorContext) -> ProcessingResult:
    return ProcessingResult.create_failure(SECRET_TEXT, can_retry=False)


def logging_what_failed(_: Message, __: ProcessorContext) -> ProcessingResult:
    try:
        raise ConnectionError(SECRET_TEXT)  # noqa: TRY301 - stands for what some client raises
    except ConnectionError as error:
        structlog.get_logger().exception("gave up", error=error, body=PAYLOAD.encode())
        logging.getLogger("shop").exception("gave up")
    return done()


STEPS: dict[str, ProcessorInterface] = {
    "keeping": Does(keeping),
    "value error": Does(raising(ValueError(SECRET_TEXT))),
    "retryable": Does(raising(RetryableError(SECRET_TEXT))),
    "transient": Does(raising(TransientError(SECRET_TEXT))),
    "permanent": Does(raising(PermanentError(SECRET_TEXT))),
    "deferred": Does(raising(DeferError(SECRET_TEXT, delay=timedelta(seconds=1)))),
    "exit": Does(raising(SystemExit(SECRET_TEXT))),
    "chain": Does(raising_a_chain),
    "pydantic": Does(reading_a_model),
    "declared model": Strict(keeping),
    "sqlalchemy": Does(asking_a_database),
    "nan": Does(keeping_nan),
    "too much": Does(sending_too_much),
    "nowhere": Does(sending_nowhere),
    "something else": Does(answering_something_else),
    "failing": Does(failing),
    "logging": Does(logging_what_failed),
}


class Told:
    """All that is told by logs, spans and metrics."""

    def __init__(self) -> None:
        self._log = io.StringIO()
        self._spans = InMemorySpanExporter()
        self._tracers = TracerProvider(shutdown_on_exit=False)
        self._tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._metrics = InMemoryMetricReader()
        self._meters = MeterProvider([self._metrics], shutdown_on_exit=False)
        with redirect_stderr(self._log):
            configure_logging(json=True, level="DEBUG")
        self.observer = TelemetryObserver(
            metrics=Metrics(self._meters.get_meter("test")), tracing=Tracing(self._tracers.get_tracer("test"))
        )

    @property
    def log(self) -> str:
        return self._log.getvalue()

    @property
    def spans(self) -> str:
        return "\n".join(span.to_json() for span in self._spans.get_finished_spans())

    @property
    def metrics(self) -> str:
        data = self._metrics.get_metrics_data()
        return "" if data is None else data.to_json()

    def close(self) -> None:
        self._tracers.shutdown()
        self._meters.shutdown()


@pytest.fixture
def told() -> Iterator[Told]:
    before = structlog.get_config() if structlog.is_configured() else None
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    told = Told()
    yield told
    told.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)


PLAIN = RetryPolicy(max_attempts=2)
QUICK = RetryPolicy(max_attempts=1, quick_retries=2, quick_budget=timedelta(milliseconds=10))
RETRIES: dict[str, tuple[RetryPolicy, bool | Exclusive]] = {
    "plain": (PLAIN, False),
    "quick": (QUICK, False),
    "exclusive": (PLAIN, Exclusive()),
}


class Shop:
    """An exchange on a real database, driven by hand."""

    def __init__(self, processor: ProcessorInterface, told: Told, folder: Path, how: str = "plain") -> None:
        exchange = Exchange("shop", tenants=[CUSTOMER])
        retry, exclusive = RETRIES[how]
        self.keep = exchange.queue("keep", INBOX, processor, retry=retry, exclusive=exclusive)
        self.intake = exchange.http("intake", "/orders", Strict(keeping), tenant=TenantFromApiKey())
        settings = LocalSettings(
            database_url=SecretStr(f"sqlite:///{folder}/{SECRET}.db"), output_folder=folder / "output"
        )
        self.container: LocalContainer = prepared_container(exchange, settings, observer=told.observer)
        now = self.container.clock().now()
        self.container.tenants().add_api_key(CUSTOMER, key_hash=api_key_hash(KEY), now=now)
        self._seen: list[object] = []

    def send(self, *, tenant: str = CUSTOMER) -> Message:
        sender: SendMessage = self.container.use_cases.sender()
        return sender.send(INBOX, CONTENT, tenant_id=TenantId(tenant), metadata=METADATA)

    def put(self, body: bytes) -> None:
        message_id = MessageId("raw")
        self.container.queue().publish(
            [Outgoing(queue=INBOX, tenant_id=CUSTOMER, message_id=message_id, body=body)]
        )

    def work(self) -> list[Settlement]:
        deliveries = self.receive(INBOX)
        settlements: list[Settlement] = self.container.use_cases.handler().handle(self.keep, deliveries)
        self.container.queue().settle(settlements)
        return settlements

    def receive(self, queue: QueueName) -> list[Delivery]:
        return list(self.container.queue().receive(queue, max_messages=10, visibility=timedelta(minutes=5)))

    def failures(self) -> list[Failure]:
        letters = self.receive(dead_letter_queue(INBOX))
        return [failure for one in letters if (failure := decode_failure(one.body)) is not None]

    def errors(self) -> str:
        """What is stored of errors and messages."""
        with self.container.engine().connect() as connection:
            return "".join(
                repr(connection.execute(sqlalchemy.text(f"SELECT * FROM {table}")).all())
                for table in ("errors", "error_groups", "journal")
            )


@contextmanager
def shop(processor: ProcessorInterface, told: Told, folder: Path, how: str = "plain") -> Iterator[Shop]:
    shop = Shop(processor, told, folder, how)
    try:
        yield shop
    finally:
        shop.container.engine().dispose()


def assert_nothing_is_told(told: Told) -> None:
    assert told.log
    for name, text in {"log": told.log, "spans": told.spans, "metrics": told.metrics}.items():
        assert SECRET not in text, name
        assert PAYLOAD not in text, name
        assert KEY not in text, name


@pytest.mark.parametrize("how", RETRIES)
@pytest.mark.parametrize("name", STEPS)
def test_however_a_message_ends(name: str, how: str, told: Told, tmp_path: Path) -> None:
    with shop(STEPS[name], told, tmp_path, how) as here:
        here.send()
        settlements = here.work()
        assert_nothing_is_told(told)
        assert '"messaging.message.id"' in told.spans
        errors, failures = here.errors(), here.failures()
    quotes_content = name == "something else"
    assert SECRET not in errors + repr(settlements)
    assert quotes_content or PAYLOAD not in errors
    for failure in failures:
        for reason in (failure.reason, failure.code, *(past.reason for past in failure.history)):
            assert SECRET not in reason
            assert PAYLOAD not in reason or (quotes_content and how == "quick")
    for settlement in settlements:
        if isinstance(settlement.disposition, DeadLetter):
            assert SECRET not in settlement.disposition.reason
            assert PAYLOAD not in settlement.disposition.reason


def test_the_text_of_somebody_elses_error_is_in_the_errors_table_alone(told: Told, tmp_path: Path) -> None:
    with shop(Does(raising(KeyError(PAYLOAD))), told, tmp_path) as here:
        here.send()
        here.work()
        assert_nothing_is_told(told)
        assert PAYLOAD in here.errors()


@pytest.mark.parametrize(
    "body",
    [
        f"{SECRET} {PAYLOAD}".encode(),
        f'{{"name": "{PAYLOAD}", "password": "{SECRET}'.encode(),
        f'{{"specversion": "{PAYLOAD}", "password": "{SECRET}"}}'.encode(),
        b'{"specversion": "1.0", "envelopeversion": 1, "id": "1", "tenantid": "%b %b"}'
        % (PAYLOAD.encode(), SECRET.encode()),
        b'{"specversion": "1.0", "envelopeversion": 9, "id": "1", "data": "%b"}' % PAYLOAD.encode(),
        b"\xff" + SECRET.encode(),
    ],
)
def test_bytes_that_are_no_message(body: bytes, told: Told, tmp_path: Path) -> None:
    with shop(Does(keeping), told, tmp_path) as here:
        here.put(body)
        here.work()
        assert_nothing_is_told(told)
        for failure in here.failures():
            assert PAYLOAD not in failure.reason
            assert SECRET not in failure.reason


def test_a_message_of_an_unknown_tenant(told: Told, tmp_path: Path) -> None:
    with shop(Does(keeping), told, tmp_path) as here:
        here.send(tenant="customer-x")
        here.work()
        assert_nothing_is_told(told)


@pytest.mark.parametrize("fails", ["begin", "commit"])
@pytest.mark.parametrize(
    "error", [ConnectionError(SECRET_TEXT), TransientError(SECRET_TEXT), PermanentError(SECRET_TEXT)]
)
def test_a_store_that_fails(fails: str, error: Exception, told: Told, tmp_path: Path) -> None:
    with shop(Does(keeping), told, tmp_path) as here:
        here.send()
        factory = here.container.use_cases.units()

        class Failing:
            def begin(self, tenant_id: TenantId) -> Any:
                if fails == "begin":
                    raise error
                return unit(tenant_id)

        @contextmanager
        def unit(tenant_id: TenantId) -> Iterator[Any]:
            with factory.begin(tenant_id) as real:

                class Unit:
                    def __getattr__(self, name: str) -> Any:
                        return getattr(real, name)

                    def commit(self) -> None:
                        raise error

                yield Unit()

        here.container.use_cases.units.override(providers.Object(Failing()))
        settlements = here.work()
        assert len(settlements) == 1
        assert_nothing_is_told(told)
        assert SECRET not in repr(settlements)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"x-api-key": KEY}, {"id": 1, "name": 2}, 202),
        ({"x-api-key": SECRET}, CONTENT, 401),
        ({}, CONTENT, 401),
        ({"x-api-key": KEY}, CONTENT, 422),
        ({"x-api-key": KEY}, f'{{"name": "{PAYLOAD}", "password": "{SECRET}"'.encode(), 400),
        ({"x-api-key": KEY}, b'"' + PAYLOAD.encode() * 100_000 + b'"', 413),
    ],
)
def test_requests_taken_in_and_refused(
    headers: dict[str, str], body: Any, status: int, told: Told, tmp_path: Path
) -> None:
    with shop(Does(keeping), told, tmp_path) as here:
        answer = post(here, told, headers | {"authorization": SECRET, "cookie": SECRET}, body)
        told.observer.event("test.ended")
    assert answer.status_code == status
    assert not [word for word in (SECRET, PAYLOAD, KEY) if word in answer.text]
    assert_nothing_is_told(told)


@pytest.mark.parametrize(
    "error", [ConnectionError(SECRET_TEXT), TransientError(SECRET_TEXT), KeyError(PAYLOAD)]
)
def test_a_chore_that_fails(error: Exception, told: Told, tmp_path: Path) -> None:
    def round_() -> Done:
        raise error

    with shop(Does(keeping), told, tmp_path) as here:
        here.container.use_cases.do_chore().do(
            Chore(name="sweep", every=timedelta(minutes=1), round=round_, exclusive=True)
        )
        assert "chore.error" in told.log
        assert_nothing_is_told(told)


def test_a_message_whose_claim_is_left_held_and_given_up(told: Told, tmp_path: Path) -> None:
    with shop(Does(raising(SystemExit(SECRET_TEXT))), told, tmp_path, "exclusive") as here:
        here.send()
        here.work()
        held = here.container.operations.held_messages()
        told.observer.event("test.ended", held=repr(held.waiting(CUSTOMER)))
        assert_nothing_is_told(told)


class ShopConfig(BaseModel):
    pages: int = 1


def test_configuration_that_does_not_fit_is_told_by_its_names(told: Told) -> None:
    wrong: dict[str, Any] = {"pages": f"{SECRET} {PAYLOAD}"}
    with pytest.raises(DeferError) as waiting:
        config_of(CUSTOMER, wrong, ShopConfig)
    with pytest.raises(PermanentError) as refused:
        checked_config(ShopConfig, wrong)
    tenant = Tenant(CUSTOMER, config=wrong)
    for text in (str(waiting.value), str(refused.value), repr(tenant)):
        assert "pages" in text or text == repr(tenant)
        assert SECRET not in text
        assert PAYLOAD not in text
    structlog.get_logger().error("refused", exc_info=refused.value, tenant=tenant)
    assert SECRET not in told.log
    assert PAYLOAD not in told.log


class Down:
    """A directory of tenants that fails."""

    def by_api_key(self, key_hash: str) -> Tenant:
        raise ConnectionError(f"{SECRET_TEXT} for {PAYLOAD}, {key_hash}")


def test_a_request_that_meets_an_error_of_ours(told: Told, tmp_path: Path) -> None:
    with shop(Does(keeping), told, tmp_path) as here:
        here.container.use_cases.tenants.override(providers.Object(Down()))
        answer = post(here, told, {"x-api-key": KEY}, {"id": 1, "name": 2})
    assert answer.status_code == 500
    assert not [word for word in (SECRET, PAYLOAD, KEY) if word in answer.text]
    assert_nothing_is_told(told)


def post(here: Shop, told: Told, headers: dict[str, str], body: Any) -> httpx.Response:
    accept = here.container.use_cases.accept()
    app = http_app([here.intake], accept, bell=Bell(), observer=told.observer)
    content = {"content": body} if isinstance(body, bytes) else {"json": body}

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.post(f"/orders?token={SECRET}", headers=headers, **content)

    return asyncio.run(post())


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://shop:{SECRET}@127.0.0.1:1/shop",
        f"postgresql://shop:{SECRET}@/w@127.0.0.1:1/shop",
        f"mysql://shop:{SECRET}@127.0.0.1/shop",
        f"postgresql://shop:{SECRET}@[/shop",
    ],
)
def test_a_database_that_cannot_be_reached(url: str, told: Told) -> None:
    with pytest.raises(ExchangeError) as raised:
        prepared_container(
            Exchange("shop"), LocalSettings(database_url=SecretStr(url)), observer=told.observer
        )
    assert SECRET not in str(raised.value)
    told.observer.event("start.failed", reason=str(raised.value))
    structlog.get_logger().error("start.failed", exc_info=raised.value)
    structlog.get_logger().error("start.failed", settings=LocalSettings(database_url=SecretStr(url)), url=url)
    assert SECRET not in told.log


def test_settings_that_are_wrong() -> None:
    with pytest.raises(ExchangeError) as raised:
        settings_with(database_url=f"postgresql://shop:{SECRET}@db/shop", port=-1)
    assert SECRET not in str(raised.value)


def test_the_repr_of_whatever_passes_through(told: Told, tmp_path: Path) -> None:
    held: list[object] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = keeping(message, context)
        result.add_output_message(CONTENT, metadata=METADATA)
        held.extend([message, context, context.intentions, result, *context.intentions.changes])
        held.extend(result.output_handlers)
        held.extend(result.output_messages)
        return result

    with shop(Does(step), told, tmp_path) as here:
        message = here.send()
        [delivery] = here.container.queue().receive(INBOX, max_messages=1, visibility=timedelta(0))
        held.extend(here.work())
        kept = here.receive(KEPT)
        held.extend(kept)
        with tenant_context(CUSTOMER):
            service = here.container.use_cases.entity_service()
            held.append(
                service.create_entity(external_id="2", canonical_type="order", source="shop", data=CONTENT)
            )
        context = next(one for one in held if isinstance(one, ProcessorContext))
        call = Call(here.keep, Incoming(delivery, message), context)
        call.fail(ValueError(SECRET_TEXT))
        held += [call, call.incoming, call.problem, here.keep, here.intake, here.container.engine()]
        held += [here.container.exchange(), here.container.queue(), here.container.use_cases.handler()]
    problem = Problem.of(KeyError(PAYLOAD), function="keep")
    line = OutgoingLine(tenant_id=CUSTOMER, name="kept.jsonl", line=PAYLOAD.encode())
    outgoing = Outgoing(
        queue=KEPT,
        tenant_id=CUSTOMER,
        message_id=message.id,
        body=PAYLOAD.encode(),
        properties={"token": SECRET},
    )
    now = message.time
    held += [
        delivery,
        line,
        outgoing,
        OutboxRow(1, line),
        OutboxRow(2, outgoing),
        OutputMessage(CONTENT, metadata=METADATA),
        problem,
        Failure("keep", INBOX, problem.code, problem.reason, problem.fingerprint, 1, now),
        Settlement(delivery, DeadLetter(PAYLOAD.encode(), SECRET_TEXT)),
        Request(headers={"x-api-key": KEY}, query={"token": SECRET}, body=PAYLOAD.encode()),
        Handled(
            function="keep",
            queue=INBOX,
            outcome=Outcome.RETRY,
            attempt=1,
            duration=timedelta(0),
            problem=problem,
        ),
        ErrorEntry(
            function=here.keep.name,
            message_id=message.id,
            correlation_id="c-1",
            attempt=1,
            problem=problem,
            stack="",
            occurred_at=now,
        ),
        HashKey("k1", (SECRET * 2).encode()),
        LocalSettings(database_url=SecretStr(f"postgresql://shop:{SECRET}@db/shop")),
        create_engine_for(f"postgresql://shop:{SECRET}@db/shop"),
        TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", f"a={SECRET}"),
    ]
    assert any(isinstance(one, EntityReference) or type(one).__name__ == "Persisted" for one in held)
    for thing in held:
        seen = repr(thing).replace(f"{tmp_path}/{SECRET}.db", "")
        assert SECRET not in seen, type(thing)
        assert PAYLOAD not in seen, type(thing)
        assert KEY not in seen, type(thing)


def test_a_secret_that_is_told_would_be_found(told: Told) -> None:
    told.observer.event("probe", reason=f"{SECRET} in a text that says nothing of it")
    with pytest.raises(AssertionError):
        assert_nothing_is_told(told)
