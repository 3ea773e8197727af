"""Spans: one a message, linked to what made it, whatever the batch, the thread or the outcome."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from dependency_injector import providers
from opentelemetry import trace as otel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from typing_extensions import override

from api_exchange_core import (
    DeferError,
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
    Schedule,
)
from api_exchange_core.adapters.telemetry.metrics import Metrics
from api_exchange_core.adapters.telemetry.observers import TelemetryObserver
from api_exchange_core.adapters.telemetry.tracing import Tracing
from api_exchange_core.application.tenant_gate import GATE_MEMORY
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.envelope import decode, encode
from api_exchange_core.domain.errors import ClaimLostError, TransientError
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.domain.trace_context import TraceContext
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Observer
from api_exchange_testing import (
    InMemoryFileSink,
    InMemoryQueue,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryUnitOfWorkFactory,
    SeededRandomness,
    VirtualClock,
    VirtualSleeper,
)
from api_exchange_testing.memory.token_store import InMemoryTokenStore

CUSTOMER = TenantId("customer-a")
INBOX, OUTBOX = QueueName("inbox"), QueueName("outbox")
MADE_IN = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61rcWkgMzE")

Step = Callable[[Message, ProcessorContext], object]


class Does(ProcessorInterface):
    def __init__(self, step: Step) -> None:
        self.step = step

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.step(message, context)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(OUTBOX))
        return result


class DoesAsync(ProcessorInterface):
    def __init__(self, step: Callable[[Message], object]) -> None:
        self.step = step

    @override
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        await asyncio.sleep(0)
        self.step(message)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(OUTBOX))
        return result


class Bench:
    """A function and a timer on memory adapters."""

    def __init__(
        self,
        processor: ProcessorInterface,
        observer: Observer,
        *,
        concurrency: int = 1,
        retry: RetryPolicy | None = None,
    ) -> None:
        exchange = Exchange("shop", tenants=[CUSTOMER, "customer-b"])
        self.function = exchange.queue(
            "keep", INBOX, processor, concurrency=concurrency, retry=RetryPolicy() if retry is None else retry
        )
        self.timer = exchange.timer("tick", Schedule.every(minutes=5), processor)
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.queue = InMemoryQueue(self.clock)
        tenants = InMemoryTenantDirectory()
        tenants.add(exchange.tenants, now=self.clock.now())
        self.store = InMemoryStore(queue=self.queue)
        self.use_cases = UseCases(
            exchange=providers.Object(exchange),
            clock=providers.Object(self.clock),
            token_store=providers.Object(InMemoryTokenStore(self.clock)),
            randomness=providers.Object(SeededRandomness(0)),
            observer=providers.Object(observer),
            units=providers.Object(InMemoryUnitOfWorkFactory(self.store)),
            tenants=providers.Object(tenants),
            publisher=providers.Object(self.queue),
            files=providers.Object(InMemoryFileSink()),
            outbox=providers.Object(self.store.relay_source),
            sleeper=providers.Object(VirtualSleeper(self.clock)),
        )

    def put(self, *ids: str, trace: TraceContext | None = MADE_IN, tenant: str = CUSTOMER) -> None:
        for id_ in ids:
            message = Message(
                id=MessageId(id_),
                tenant_id=TenantId(tenant),
                source="/test",
                payload={"n": 1},
                time=self.clock.now(),
                correlation_id="c-1",
                trace=trace,
            )
            self.queue.publish(
                [
                    Outgoing(
                        queue=INBOX, tenant_id=message.tenant_id, message_id=message.id, body=encode(message)
                    )
                ]
            )

    def work(self) -> None:
        deliveries = self.queue.receive(INBOX, max_messages=100, visibility=timedelta(minutes=5))
        self.queue.settle(self.use_cases.handler().handle(self.function, deliveries))

    def sent(self, queue: str = OUTBOX) -> list[Message]:
        return [decode(one.body) for one in self.queue.messages(QueueName(queue))]


class Spans:
    """An SDK of this test's own, and what it has exported."""

    def __init__(self, **options: object) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)  # type: ignore[arg-type] # options of an SDK
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
        self.observer = TelemetryObserver(
            metrics=Metrics(self.meters.get_meter("test")),
            tracing=Tracing(self.provider.get_tracer("test"), system="aws_sqs"),
        )

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def of(self, message_id: str) -> ReadableSpan:
        [span] = [one for one in self.all if attributes(one).get("messaging.message.id") == message_id]
        return span


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def linked_ids(span: ReadableSpan) -> list[str]:
    return [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in span.links]


def ids(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}-{context.span_id:016x}"


def ids_of(trace: TraceContext | None) -> str:
    assert trace is not None
    return f"{trace.trace_id}-{trace.span_id}"


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    yield spans
    spans.provider.shutdown()
    spans.meters.shutdown()


def nothing(*_: object) -> None: ...


def test_a_message_has_a_span_by_the_conventions(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    bench.put("m-1")
    bench.work()
    [span] = spans.all
    assert (span.name, span.kind, span.status.status_code) == (
        "process keep",
        SpanKind.CONSUMER,
        StatusCode.UNSET,
    )
    assert attributes(span) == {
        "messaging.system": "aws_sqs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "inbox",
        "messaging.message.id": "m-1",
        "messaging.message.conversation_id": "c-1",
        "api_exchange.function": "keep",
        "api_exchange.tenant.id": "customer-a",
        "api_exchange.attempt": 1,
        "api_exchange.outcome": "completed",
        "api_exchange.entities": 0,
        "api_exchange.new_versions": 0,
        "api_exchange.outputs": 1,
    }


def test_it_is_linked_to_the_span_that_made_the_message_and_is_no_child_of_it(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    bench.put("m-1")
    bench.work()
    [span] = spans.all
    assert span.parent is None
    assert linked_ids(span) == [ids_of(MADE_IN)]
    assert span.links[0].context.is_remote
    assert span.links[0].context.trace_state.to_header() == MADE_IN.tracestate
    assert ids(span)[:32] != MADE_IN.trace_id


def test_its_children_carry_it(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    bench.put("m-1")
    bench.work()
    [child] = bench.sent()
    assert ids_of(child.trace) == ids(spans.of("m-1"))


def test_what_a_processor_traces_is_below_the_span_of_its_message(spans: Spans) -> None:
    tracer = spans.provider.get_tracer("of the application")

    def step(message: Message, _: object) -> None:
        with tracer.start_as_current_span(f"inner {message.id}"):
            pass

    bench = Bench(Does(step), spans.observer)
    bench.put("m-1", "m-2")
    bench.work()
    for message_id in ("m-1", "m-2"):
        [inner] = [span for span in spans.all if span.name == f"inner {message_id}"]
        assert inner.parent == spans.of(message_id).get_span_context()


@pytest.mark.parametrize("way", ["one after the other", "threads", "tasks"])
def test_in_a_batch_each_message_keeps_its_own_trace(spans: Spans, way: str) -> None:
    side_by_side = threading.Barrier(8) if way == "threads" else None
    seen: dict[str, str] = {}

    def step(message: Message, _: object = None) -> None:
        if side_by_side is not None:
            side_by_side.wait(30)
        context = otel.get_current_span().get_span_context()
        seen[message.id] = f"{context.trace_id:032x}-{context.span_id:016x}"

    processor = DoesAsync(step) if way == "tasks" else Does(step)
    bench = Bench(processor, spans.observer, concurrency=1 if way == "one after the other" else 8)
    made_in = {f"m-{n}": TraceContext(f"00-{n + 1:032x}-{n + 1:016x}-01") for n in range(8)}
    for message_id, trace in made_in.items():
        bench.put(message_id, trace=trace)
    bench.work()
    bench.use_cases.calls().close()
    [batch] = [span for span in spans.all if span.name == "process batch keep"]
    assert attributes(batch)["messaging.batch.message_count"] == 8
    children = {child.causation_id: ids_of(child.trace) for child in bench.sent()}
    for message_id, trace in made_in.items():
        span = spans.of(message_id)
        assert linked_ids(span) == [ids_of(trace), ids(batch)]
        assert seen[message_id] == ids(span) == children[message_id]
    assert len({ids(span)[:32] for span in spans.all}) == 9
    assert not otel.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (ValueError("hunter2"), "retry", StatusCode.ERROR),
        (RetryableError("hunter2"), "retry", StatusCode.ERROR),
        (PermanentError("hunter2"), "dead_lettered", StatusCode.ERROR),
        (DeferError("hunter2", delay=timedelta(seconds=1)), "deferred", StatusCode.UNSET),
    ],
)
def test_a_failure_is_told_by_its_class_and_not_by_its_text(
    spans: Spans, error: Exception, outcome: str, status: StatusCode
) -> None:
    def step(*_: object) -> None:
        raise error

    bench = Bench(Does(step), spans.observer)
    bench.put("m-1")
    bench.work()
    [span] = spans.all
    assert attributes(span)["api_exchange.outcome"] == outcome
    assert attributes(span)["error.type"] == type(error).__name__
    assert (span.status.status_code, span.status.description, list(span.events)) == (status, None, [])
    assert "hunter2" not in span.to_json()


def test_what_is_settled_at_the_door_has_a_span_too(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    bench.put("m-1", tenant="customer-x")
    bench.work()
    [span] = spans.all
    assert (attributes(span)["api_exchange.outcome"], attributes(span)["error.type"]) == (
        "dead_lettered",
        "TenantError",
    )
    assert linked_ids(span) == [ids_of(MADE_IN)]


def test_bytes_that_are_no_message_have_a_span_too(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    bench.queue.publish(
        [Outgoing(queue=INBOX, tenant_id=CUSTOMER, message_id=MessageId("raw"), body=b"hunter2")]
    )
    bench.work()
    [span] = spans.all
    assert attributes(span)["error.type"] == "InvalidMessageError"
    assert "hunter2" not in span.to_json()


def test_a_call_whose_claim_was_lost_has_a_span_that_says_so(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)

    class Lost(InMemoryUnitOfWorkFactory):
        @override
        def begin(self, tenant_id: TenantId) -> object:  # type: ignore[override] # a unit that cannot commit
            if journal_read:
                raise ClaimLostError("somebody else's by now")
            journal_read.append(True)
            return super().begin(tenant_id)

    journal_read: list[bool] = []
    bench.use_cases.units.override(providers.Object(Lost(bench.store)))
    bench.put("m-1")
    bench.work()
    [span] = spans.all
    assert attributes(span)["error.type"] == "ClaimLostError"


class Counted(SpanProcessor):
    """Which spans began, and which ended."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []

    @override
    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.begun.append(span.get_span_context().span_id)

    @override
    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        assert context is not None
        self.ended.append(context.span_id)


@pytest.mark.parametrize("way", [Does, DoesAsync])
def test_each_call_of_an_attempt_has_a_span_that_ends_once(spans: Spans, way: type[Does | DoesAsync]) -> None:
    counted = Counted()
    spans.provider.add_span_processor(counted)
    left = [ConnectionError("hunter2"), ConnectionError("hunter2")]

    def step(*_: object) -> None:
        if left:
            raise left.pop()

    bench = Bench(way(step), spans.observer, retry=RetryPolicy(quick_retries=3))
    bench.put("m-1")
    bench.work()
    bench.use_cases.calls().close()
    assert [attributes(span).get("api_exchange.outcome") for span in spans.all] == [None, None, "completed"]
    assert [attributes(span).get("error.type") for span in spans.all] == ["ConnectionError"] * 2 + [None]
    [child] = bench.sent()
    assert ids_of(child.trace) == ids(spans.all[-1])
    assert counted.begun == counted.ended
    assert "hunter2" not in "".join(span.to_json() for span in spans.all)


@pytest.mark.parametrize("meanwhile", ["erased", "out of reach"])
def test_a_call_that_is_not_committed_for_its_tenants_sake_has_a_span_that_ends_once(
    spans: Spans, meanwhile: str
) -> None:
    counted = Counted()
    spans.provider.add_span_processor(counted)

    class Down(InMemoryTenantDirectory):
        @override
        def get(self, tenant_id: TenantId) -> Tenant | None:
            if ran and meanwhile == "out of reach":
                raise TransientError("the directory is out of reach")
            return super().get(tenant_id)

    ran: list[bool] = []

    def step(*_: object) -> None:
        ran.append(True)
        bench.clock.advance(2 * GATE_MEMORY)
        if meanwhile == "erased":
            directory.set_enabled(CUSTOMER, enabled=False)
            directory.mark_erased(CUSTOMER, now=bench.clock.now())

    bench = Bench(Does(step), spans.observer)
    directory = Down()
    directory.add([CUSTOMER], now=bench.clock.now())
    bench.use_cases.tenants.override(providers.Object(directory))
    bench.put("m-1")
    bench.work()
    error = "ErasedTenantError" if meanwhile == "erased" else "TransientError"
    assert error in [attributes(span).get("error.type") for span in spans.all]
    assert ran
    assert counted.begun == counted.ended


def test_a_trace_that_is_not_sampled_goes_on_unsampled() -> None:
    spans = Spans(sampler=ALWAYS_OFF)
    bench = Bench(Does(nothing), spans.observer)
    bench.put("m-1")
    bench.work()
    [child] = bench.sent()
    assert list(spans.all) == []
    assert child.trace is not None
    assert int(child.trace.flags, 16) & 1 == 0  # the bit "sampled"; an SDK sets others as well
    assert child.trace.trace_id != MADE_IN.trace_id


def test_without_an_sdk_a_trace_goes_on_to_the_children() -> None:
    bench = Bench(Does(nothing), TelemetryObserver())
    bench.put("m-1")
    bench.put("m-2", trace=None)
    bench.work()
    assert {child.causation_id: child.trace for child in bench.sent()} == {"m-1": MADE_IN, "m-2": None}


def test_a_first_message_carries_the_span_of_its_sending(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    message = bench.use_cases.sender().send(INBOX, {"n": 1}, tenant_id=CUSTOMER, trace=MADE_IN)
    [span] = spans.all
    assert (span.name, span.kind) == ("send inbox", SpanKind.PRODUCER)
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == ids_of(MADE_IN)
    assert ids_of(message.trace) == ids(span)


def test_a_span_around_the_sending_is_its_parent_before_a_header_is(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    with spans.provider.get_tracer("server").start_as_current_span("POST /orders") as server:
        bench.use_cases.sender().send(INBOX, {"n": 1}, tenant_id=CUSTOMER, trace=MADE_IN)
    [sending] = [span for span in spans.all if span.name == "send inbox"]
    assert sending.parent == server.get_span_context()


def test_a_tick_has_one_span_for_all_its_tenants(spans: Spans) -> None:
    bench = Bench(Does(nothing), spans.observer)
    bench.use_cases.fan_out().fan_out(bench.timer, bench.clock.now())
    [span] = spans.all
    assert attributes(span)["messaging.batch.message_count"] == 2
    assert [ids_of(tick.trace) for tick in bench.sent("tick")] == [ids(span)] * 2


def test_a_sending_that_fails_is_told_by_the_class_of_its_error(spans: Spans) -> None:
    with pytest.raises(ValueError, match="hunter2"), spans.observer.sending(INBOX):
        raise ValueError("hunter2")
    [span] = spans.all
    assert attributes(span)["error.type"] == "ValueError"
    assert "hunter2" not in span.to_json()


def test_an_error_that_ends_a_batch_leaves_no_text_in_its_span(spans: Spans) -> None:
    with (
        pytest.raises(ValueError, match="hunter2"),
        spans.observer.batch(FunctionName("keep"), queue=INBOX, count=2),
    ):
        raise ValueError("hunter2")
    [span] = spans.all
    assert "hunter2" not in span.to_json()


class Breaks(SpanProcessor):
    """Of an SDK that somebody has set up wrongly."""

    @override
    def on_start(self, span: object, parent_context: object = None) -> None:
        raise RuntimeError("hunter2")

    @override
    def on_end(self, span: object) -> None:
        raise RuntimeError("hunter2")


def test_spans_that_cannot_be_kept_fail_no_work(spans: Spans) -> None:
    spans.provider.add_span_processor(Breaks())
    bench = Bench(Does(nothing), spans.observer)
    bench.use_cases.sender().send(INBOX, {"n": 1}, tenant_id=CUSTOMER)
    bench.put("m-1", "m-2")
    bench.work()
    assert {child.trace for child in bench.sent() if child.causation_id in ("m-1", "m-2")} == {MADE_IN}
    assert len(bench.sent()) == 3
