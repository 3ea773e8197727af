"""What is logged: one line a message with its ids, and never a payload, a secret or somebody else's error text."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, SecretStr
from typing_extensions import override

from api_exchange_core import (
    DeferError,
    Exchange,
    Message,
    NoOutputHandler,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
    TransientError,
    operation,
)
from api_exchange_core.adapters.telemetry.logging import configure_logging
from api_exchange_core.adapters.telemetry.observer import StructlogObserver
from api_exchange_core.application.call import Call, Incoming
from api_exchange_core.containers.local import LocalSettings, local_container
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Handled, Outcome
from api_exchange_testing import (
    in_memory_container,
)

SECRET = "hunter2"
CUSTOMER = TenantId("customer-a")
INBOX = QueueName("inbox")

Step = Callable[[Message, ProcessorContext], ProcessingResult]


class Logs:
    """What is written to standard error by whatever is logged, once it is configured here."""

    def __init__(self) -> None:
        self._written = io.StringIO()

    def configure(self, *, json: bool = True, level: str = "INFO") -> None:
        with redirect_stderr(self._written):
            configure_logging(json=json, level=level)

    @property
    def text(self) -> str:
        return self._written.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        """The only line."""
        [line] = self.lines
        return line


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Logging as in production, for the length of a test."""
    before = structlog.get_config() if structlog.is_configured() else None
    logs = Logs()
    logs.configure()
    yield logs
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)


def summary(outcome: Outcome = Outcome.COMPLETED, problem: Problem | None = None) -> Handled:
    return Handled(
        function="to-canonical",
        queue="orders",
        outcome=outcome,
        attempt=2,
        duration=timedelta(milliseconds=12.3456),
        tenant_id=CUSTOMER,
        message_id="m-1",
        correlation_id="c-1",
        causation_id="m-0",
        operation="orders.to_canonical",
        entities=3,
        new_versions=2,
        outputs=4,
        problem=problem,
    )


# Lines


def test_a_handled_message_is_one_json_line_with_its_ids(logs: Logs) -> None:
    StructlogObserver().handled(summary())
    line = logs.line
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {
        "event": "message.handled",
        "level": "info",
        "outcome": "completed",
        "function": "to-canonical",
        "queue": "orders",
        "tenant_id": "customer-a",
        "message_id": "m-1",
        "correlation_id": "c-1",
        "causation_id": "m-0",
        "operation": "orders.to_canonical",
        "attempt": 2,
        "duration_ms": 12.346,
        "entities": 3,
        "new_versions": 2,
        "outputs": 4,
    }


def test_what_a_summary_does_not_know_is_not_in_its_line(logs: Logs) -> None:
    StructlogObserver().handled(
        Handled(function="f", queue="q", outcome=Outcome.DEAD_LETTERED, attempt=1, duration=timedelta(0))
    )
    line = logs.line
    assert None not in line.values()
    assert "tenant_id" not in line


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        (Outcome.COMPLETED, "info"),
        (Outcome.DUPLICATE, "info"),
        (Outcome.GIVEN_BACK, "info"),
        (Outcome.RETRY, "warning"),
        (Outcome.DEFERRED, "warning"),
        (Outcome.DEAD_LETTERED, "warning"),
    ],
)
def test_what_calls_for_attention_is_a_warning(logs: Logs, outcome: Outcome, level: str) -> None:
    StructlogObserver().handled(summary(outcome))
    line = logs.line
    assert (line["outcome"], line["level"]) == (outcome.value, level)


def test_of_a_problem_the_line_has_class_and_fingerprint_and_not_the_reason(logs: Logs) -> None:
    problem = Problem.of(ValueError(SECRET), function="to-canonical")
    StructlogObserver().handled(summary(Outcome.RETRY, problem))
    line = logs.line
    assert (line["error"], line["fingerprint"]) == ("ValueError", problem.fingerprint)
    assert SECRET not in json.dumps(line)


def test_an_event_is_a_line_with_its_facts(logs: Logs) -> None:
    StructlogObserver().event("outbox.stuck", outbox_id=7, reason="too large", error=None)
    line = logs.line
    assert (line["event"], line["outbox_id"], line["reason"]) == ("outbox.stuck", 7, "too large")
    assert "error" not in line


@pytest.mark.parametrize("fact", ["größe 訂單 \x00\n", "a lone surrogate: \ud800", float("nan"), 2**70])
def test_there_is_no_fact_that_breaks_a_line_or_the_work_that_is_watched(
    logs: Logs, fact: float | str
) -> None:
    StructlogObserver().event("relay.error", reason=fact)
    line = logs.line
    assert line["event"] == "relay.error"
    assert "reason" in line


@pytest.mark.parametrize(
    ("event", "level"),
    [("request.unproven", "info"), ("chore.done", "info"), ("one.that.is.new", "warning")],
)
def test_an_event_is_a_warning_unless_nobody_has_to_look_at_it(logs: Logs, event: str, level: str) -> None:
    StructlogObserver().event(event)
    assert (logs.line["event"], logs.line["level"]) == (event, level)


def test_a_wait_for_a_token_has_a_line_from_a_second_on(logs: Logs) -> None:
    for milliseconds in (0, 999, 1_000):
        waited = timedelta(milliseconds=milliseconds)
        StructlogObserver().token_waited(TenantId("customer-a"), api="shop", waited=waited)
    line = logs.line
    assert (line["event"], line["level"], line["seconds"]) == ("token.waited", "info", 1)


def test_a_level_that_is_asked_for_leaves_out_what_is_below(logs: Logs) -> None:
    logs.configure(level="WARNING")
    observer = StructlogObserver()
    observer.handled(summary(Outcome.COMPLETED))
    observer.handled(summary(Outcome.RETRY))
    assert [line["outcome"] for line in logs.lines] == ["retry"]


# Ids


def test_ids_are_on_every_line_within_the_block_and_on_none_after(logs: Logs) -> None:
    observer = StructlogObserver()
    log = structlog.get_logger()
    with observer.bound(tenant_id=CUSTOMER, attempt=1, causation_id=None):
        log.info("from the application")
    log.info("afterwards")
    within, after = logs.lines
    assert (within["tenant_id"], within["attempt"]) == (CUSTOMER, 1)
    assert "causation_id" not in within
    assert set(after) == {"event", "level", "timestamp"}


def test_ids_are_gone_after_an_error_too(logs: Logs) -> None:
    observer = StructlogObserver()
    with pytest.raises(ZeroDivisionError), observer.bound(tenant_id=CUSTOMER):
        raise ZeroDivisionError
    structlog.get_logger().info("afterwards")
    line = logs.line
    assert "tenant_id" not in line


def test_an_inner_block_adds_and_replaces_and_the_outer_one_comes_back(logs: Logs) -> None:
    observer = StructlogObserver()
    log = structlog.get_logger()
    with observer.bound(tenant_id=CUSTOMER, function="outer"):
        with observer.bound(function="inner", attempt=2):
            log.info("inner")
        log.info("outer")
    inner, outer = logs.lines
    assert (inner["tenant_id"], inner["function"], inner["attempt"]) == (CUSTOMER, "inner", 2)
    assert (outer["tenant_id"], outer["function"]) == (CUSTOMER, "outer")
    assert "attempt" not in outer


def test_threads_keep_their_ids_apart(logs: Logs) -> None:
    observer = StructlogObserver()
    all_bound = threading.Barrier(8)

    def work(number: int) -> None:
        with observer.bound(message_id=str(number)):
            all_bound.wait(30)
            structlog.get_logger().info("working", expected=str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = logs.lines
    assert {line["message_id"] for line in lines} == {str(number) for number in range(8)}
    assert all(line["message_id"] == line["expected"] for line in lines)


def test_asyncio_tasks_keep_their_ids_apart(logs: Logs) -> None:
    observer = StructlogObserver()

    async def work(number: int, all_bound: asyncio.Barrier) -> None:
        with observer.bound(message_id=str(number)):
            await all_bound.wait()
            structlog.get_logger().info("working", expected=str(number))

    async def together() -> None:
        all_bound = asyncio.Barrier(8)
        await asyncio.gather(*(work(number, all_bound) for number in range(8)))

    asyncio.run(together())
    lines = logs.lines
    assert {line["message_id"] for line in lines} == {str(number) for number in range(8)}
    assert all(line["message_id"] == line["expected"] for line in lines)


# Secrets


class Account(BaseModel):
    id: str
    password: int


class Does(ProcessorInterface):
    def __init__(self, step: Step) -> None:
        self.step = step

    @override
    @operation("accounts.keep")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        structlog.get_logger().info("begun")
        return self.step(message, context)


class Strict(Does):
    payload_model = Account


def raising(error: Exception) -> Step:
    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        raise error

    return step


def raising_from_a_cause(message: Message, context: ProcessorContext) -> ProcessingResult:
    password = SECRET
    try:
        raise KeyError(password)  # noqa: TRY301 - stands for what some client raises
    except KeyError as error:
        raise RuntimeError(f"login with {password}") from error


def persisting(message: Message, context: ProcessorContext) -> ProcessingResult:
    context.persist_entity(external_id="1", canonical_type="account", source="shop", data=message.payload)
    result = ProcessingResult.create_success()
    result.add_output_handler(QueueOutputHandler("kept", properties={"token": SECRET}))
    return result


def persisting_nan(message: Message, context: ProcessorContext) -> ProcessingResult:
    context.persist_entity(
        external_id="1", canonical_type="account", source="shop", data={"password": SECRET, "n": float("nan")}
    )
    return ProcessingResult.create_success()


def sending_too_much(message: Message, context: ProcessorContext) -> ProcessingResult:
    result = ProcessingResult.create_success()
    result.add_output_message({"password": SECRET * 200_000})
    result.add_output_handler(QueueOutputHandler("kept"))
    return result


def failing(message: Message, context: ProcessorContext) -> ProcessingResult:
    return ProcessingResult.create_failure(f"login with {SECRET}", can_retry=False)


def sending_nowhere(message: Message, context: ProcessorContext) -> ProcessingResult:
    result = ProcessingResult.create_success()
    result.add_output_message({"password": SECRET})
    result.add_output_handler(NoOutputHandler())
    return result


PROCESSORS: list[tuple[ProcessorInterface, str]] = [
    (Does(persisting), "completed"),
    (Does(sending_nowhere), "completed"),
    (Does(raising(ValueError(SECRET))), "retry"),
    (Does(raising(RetryableError(SECRET))), "retry"),
    (Does(raising(TransientError(SECRET))), "retry"),
    (Does(raising(PermanentError(SECRET))), "dead_lettered"),
    (Does(raising(DeferError(SECRET, delay=timedelta(seconds=1)))), "deferred"),
    (Does(raising_from_a_cause), "retry"),
    (Does(failing), "dead_lettered"),
    (Does(persisting_nan), "dead_lettered"),
    (Does(sending_too_much), "dead_lettered"),
    (Strict(persisting), "dead_lettered"),
]


class Bench:
    """One function on memory adapters, with logs as in production."""

    def __init__(self, processor: ProcessorInterface) -> None:
        exchange = Exchange("shop", tenants=[CUSTOMER])
        self.function = exchange.queue("keep", INBOX, processor, retry=RetryPolicy(max_attempts=2))
        container = in_memory_container(exchange, observer=StructlogObserver(), one_store=True)
        self.clock, self.queue, self.use_cases = container.clock(), container.queue(), container.use_cases

    def send(self, tenant: str = CUSTOMER) -> Message:
        sent: Message = self.use_cases.sender().send(
            INBOX,
            {"id": "1", "password": SECRET},
            tenant_id=TenantId(tenant),
            metadata={"authorization": SECRET},
        )
        return sent

    def put(self, body: bytes) -> None:
        message_id = MessageId("raw")
        self.queue.publish([Outgoing(queue=INBOX, tenant_id=CUSTOMER, message_id=message_id, body=body)])

    def work(self) -> None:
        """Handle all that is there until each message has come to its end, or has been tried a few times."""
        for _ in range(4):
            deliveries = self.queue.receive(INBOX, max_messages=10, visibility=timedelta(minutes=5))
            self.queue.settle(self.use_cases.handler().handle(self.function, deliveries))
            self.clock.advance(timedelta(hours=1))


@pytest.mark.parametrize(("processor", "outcome"), PROCESSORS)
def test_no_payload_and_no_error_text_is_in_any_line_however_a_message_ends(
    logs: Logs, processor: ProcessorInterface, outcome: str
) -> None:
    bench = Bench(processor)
    sent = bench.send()
    bench.work()
    lines = logs.lines
    handled = [line for line in lines if line["event"] == "message.handled"]
    assert handled[0]["outcome"] == outcome
    assert {line["message_id"] for line in lines} == {sent.id}
    assert {line["tenant_id"] for line in lines} == {CUSTOMER}
    assert SECRET not in json.dumps(lines)


def test_every_line_of_the_application_within_a_message_has_its_ids(logs: Logs) -> None:
    bench = Bench(Does(persisting))
    sent = bench.send()
    bench.work()
    [begun] = [line for line in logs.lines if line["event"] == "begun"]
    del begun["timestamp"]
    assert begun == {
        "event": "begun",
        "level": "info",
        "tenant_id": CUSTOMER,
        "function": "keep",
        "operation": "accounts.keep",
        "message_id": sent.id,
        "correlation_id": sent.id,
        "attempt": 1,
    }


@pytest.mark.parametrize(
    "body",
    [
        SECRET.encode(),
        f'{{"password": "{SECRET}"}}'.encode(),
        f'{{"specversion": "1.0", "id": "{SECRET}'.encode(),
        b"\xff" + SECRET.encode(),
    ],
)
def test_bytes_that_are_no_message_are_not_in_any_line(logs: Logs, body: bytes) -> None:
    bench = Bench(Does(persisting))
    bench.put(body)
    bench.work()
    line = logs.line
    assert line["outcome"] == "dead_lettered"
    assert SECRET not in json.dumps(line)


def test_a_message_of_an_unknown_tenant_is_logged_without_its_payload(logs: Logs) -> None:
    bench = Bench(Does(persisting))
    bench.send(tenant="customer-x")
    bench.work()
    line = logs.line
    assert (line["outcome"], line["error"]) == ("dead_lettered", "TenantError")
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize("json_lines", [True, False])
def test_a_traceback_that_the_application_logs_shows_no_local_variables(logs: Logs, json_lines: bool) -> None:
    logs.configure(json=json_lines)

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        password = message.payload
        try:
            raise TimeoutError  # noqa: TRY301 - stands for what some client raises
        except TimeoutError:
            structlog.get_logger().exception("the API did not answer")
        assert password is not None
        return ProcessingResult.create_success()

    bench = Bench(Does(step))
    bench.send()
    bench.work()
    assert "TimeoutError" in logs.text
    assert SECRET not in logs.text


# What people print while they look for a mistake


def test_no_payload_is_in_the_repr_of_what_passes_through_a_processor() -> None:
    called: list[tuple[ProcessorContext, ProcessingResult]] = []

    def step(message: Message, context: ProcessorContext) -> ProcessingResult:
        result = persisting(message, context)
        result.add_output_message({"password": SECRET}, metadata={"authorization": SECRET})
        called.append((context, result))
        return result

    bench = Bench(Does(step))
    message = bench.send()
    [delivery] = bench.queue.receive(INBOX, max_messages=1, visibility=timedelta(0))
    bench.work()
    [(context, result)] = called
    [kept] = bench.queue.messages(QueueName("kept"))
    call = Call(bench.function, Incoming(delivery, message), context, result=result)
    call.problem = Problem.of(ValueError(SECRET), function="keep")
    seen = [message, delivery, context, context.intentions.changes, result, kept, kept.outgoing, call]
    assert [thing for thing in seen if SECRET in repr(thing)] == []


def test_no_text_of_an_error_is_in_the_repr_of_the_problem_it_becomes() -> None:
    problem = Problem.of(ValueError(SECRET), function="keep")
    assert SECRET not in repr(problem)
    assert SECRET not in repr(summary(Outcome.RETRY, problem))


def test_no_password_is_in_the_repr_of_settings_or_engine() -> None:
    settings = LocalSettings(database_url=SecretStr(f"postgresql://shop:{SECRET}@127.0.0.1/shop"))
    container = local_container(Exchange("shop"), settings)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in repr(settings.model_dump())
    assert SECRET not in repr(container.engine())
