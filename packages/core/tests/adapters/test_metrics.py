"""Metrics: what is counted of messages, and that no tenant is in any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from typing_extensions import override

from api_exchange_core.adapters.telemetry.metrics import Metrics
from api_exchange_core.adapters.telemetry.observers import TelemetryObserver
from api_exchange_core.adapters.telemetry.store_metrics import StoreMetrics
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.backlog import Backlog, Waiting, WaitingMessages
from api_exchange_core.ports.observer import Handled, Outcome, PassedOn
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_core.ports.queue_inspector import QueueInspector
from api_exchange_testing import InMemoryQueue, InMemoryStore, InMemoryUnitOfWorkFactory, VirtualClock
from api_exchange_testing.memory.backlog import InMemoryBacklog

NOW = datetime(2026, 1, 1, tzinfo=UTC)

Point = NumberDataPoint | HistogramDataPoint


class Meters:
    """An SDK of this test's own."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.meter = self.provider.get_meter("test")

    def points(self, name: str) -> Sequence[Point]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
            if isinstance(point, NumberDataPoint | HistogramDataPoint)
        ]

    def values(self, name: str, *by: str) -> Mapping[tuple[object, ...], float]:
        return {
            tuple((point.attributes or {}).get(attribute) for attribute in by): (
                point.value if isinstance(point, NumberDataPoint) else point.sum
            )
            for point in self.points(name)
        }


@pytest.fixture
def meters() -> Iterator[Meters]:
    meters = Meters()
    yield meters
    meters.provider.shutdown()


def handled(
    outcome: Outcome = Outcome.COMPLETED, error: Exception | None = None, outputs: int = 0
) -> Handled:
    return Handled(
        function="to-canonical",
        queue="orders",
        outcome=outcome,
        attempt=1,
        duration=timedelta(seconds=0.5),
        waited=timedelta(seconds=90),
        tenant_id="customer-a",
        message_id="m-1",
        outputs=outputs,
        new_versions=2 * outputs,
        problem=None if error is None else Problem.of(error, function="to-canonical"),
        trace=PassedOn(),
    )


def test_messages_are_counted_by_outcome_and_class_of_error(meters: Meters) -> None:
    metrics = Metrics(meters.meter)
    for _ in range(3):
        metrics.handled(handled())
    metrics.handled(handled(Outcome.DUPLICATE))
    metrics.handled(handled(Outcome.RETRY, ValueError("hunter2")))
    metrics.handled(handled(Outcome.DEAD_LETTERED, ValueError("hunter2")))
    assert meters.values("messaging.client.consumed.messages", "api_exchange.outcome", "error.type") == {
        ("completed", None): 3,
        ("duplicate", None): 1,
        ("retry", "ValueError"): 1,
        ("dead_lettered", "ValueError"): 1,
    }


def test_durations_and_ages_are_in_seconds(meters: Meters) -> None:
    Metrics(meters.meter).handled(handled())
    assert meters.values("messaging.process.duration", "api_exchange.function") == {("to-canonical",): 0.5}
    assert meters.values("api_exchange.queue.age", "messaging.destination.name") == {("orders",): 90}


def test_what_was_given_back_has_no_duration(meters: Meters) -> None:
    Metrics(meters.meter).handled(handled(Outcome.GIVEN_BACK))
    assert meters.points("messaging.process.duration") == []


def test_outputs_and_versions_are_added_up(meters: Meters) -> None:
    metrics = Metrics(meters.meter)
    metrics.handled(handled(outputs=3))
    metrics.handled(handled(outputs=2))
    assert meters.values("messaging.client.sent.messages", "messaging.operation.name") == {("send",): 5}
    assert meters.values("api_exchange.entity.versions") == {(): 10}


def test_no_point_has_a_tenant_or_a_message(meters: Meters) -> None:
    observer = TelemetryObserver(metrics=Metrics(meters.meter))
    observer.handled(handled(Outcome.RETRY, ValueError("hunter2"), outputs=1))
    observer.event("store.unreachable", tenant_id="customer-a", reason="hunter2")
    data = meters.reader.get_metrics_data()
    assert data is not None
    told = data.to_json()
    assert "api_exchange.events" in told
    assert not [word for word in ("customer-a", "m-1", "hunter2") if word in told]


@pytest.mark.parametrize("code", ["order 4711 of Mr. Smith failed", "x" * 65, "", "größe"])
def test_a_code_that_is_a_text_makes_no_series(meters: Meters, code: str) -> None:
    problem = Problem(code=code, reason="", fingerprint="0" * 16)
    summary = Handled(
        function="f",
        queue="q",
        outcome=Outcome.RETRY,
        attempt=1,
        duration=timedelta(0),
        problem=problem,
    )
    Metrics(meters.meter).handled(summary)
    assert meters.values("messaging.client.consumed.messages", "error.type") == {("_OTHER",): 1}


class Depths(QueueInspector):
    def __init__(self, **depths: int) -> None:
        self._depths = {QueueName(name): depth for name, depth in depths.items()}
        self.is_down = False

    @override
    def depths(self) -> Mapping[QueueName, int]:
        if self.is_down:
            raise TransientError("the database cannot be reached")
        return self._depths


class WaitingHere(Backlog):
    """Messages in a queue of the exchange, and in one whose name is nobody's business."""

    is_down = False

    @override
    def messages(self, *, now: datetime) -> Sequence[WaitingMessages]:
        if self.is_down:
            raise TransientError("the database cannot be reached")
        return [
            WaitingMessages(queue=QueueName("orders"), count=2, since=now - timedelta(seconds=90)),
            WaitingMessages(queue=QueueName("secret_tenant"), count=1, since=now - timedelta(days=1)),
        ]

    @override
    def effects(self, *, now: datetime) -> Waiting | None:
        raise AssertionError("the outbox itself tells")


def test_the_store_is_asked_when_metrics_are_collected_and_not_before(meters: Meters) -> None:
    queues, backlog = Depths(orders=7, secret_tenant=1), WaitingHere()
    store, clock = InMemoryStore(), VirtualClock(NOW)
    with_dead_letters = [QueueName("orders"), QueueName("orders-dlq")]
    StoreMetrics(queues, backlog, store.relay_source, clock, of=with_dead_letters).register(meters.meter)
    queues.is_down = backlog.is_down = True
    assert meters.points("api_exchange.queue.depth") == []
    assert meters.points("api_exchange.queue.oldest") == []
    queues.is_down = backlog.is_down = False
    by = "messaging.destination.name"
    assert meters.values("api_exchange.queue.depth", by) == {("orders",): 7, ("orders-dlq",): 0}
    assert meters.values("api_exchange.queue.oldest", by) == {("orders",): 90, ("orders-dlq",): 0}
    assert meters.values("api_exchange.outbox.pending") == {(): 0}


def test_an_outbox_that_nobody_relays_has_a_lag_and_one_that_is_stuck_a_number(meters: Meters) -> None:
    queue = InMemoryQueue(clock := VirtualClock(NOW))
    store = InMemoryStore()
    backlog = InMemoryBacklog(store, queue)
    StoreMetrics(queue, backlog, store.relay_source, clock, of=()).register(meters.meter)

    def told() -> list[float]:
        names = ("pending", "stuck", "lag")
        return [meters.values(f"api_exchange.outbox.{name}")[()] for name in names]

    assert told() == [0, 0, 0]
    with InMemoryUnitOfWorkFactory(store).begin(TenantId("customer-a")) as unit:
        line = OutgoingLine(tenant_id=TenantId("customer-a"), name="kept.jsonl", line=b"{}")
        [row] = unit.outbox.add([line], now=clock.now())
        unit.commit()
    clock.advance(timedelta(hours=1))
    pending, stuck, lag = told()
    assert (pending, stuck) == (1, 0)
    assert 3000 < lag <= 3600
    store.relay_source.postpone([row.id], until=clock.now())
    assert told() == [1, 1, 0]


def test_further_calls_within_an_attempt_are_counted(meters: Meters) -> None:
    metrics = Metrics(meters.meter)
    metrics.handled(handled())
    metrics.handled(replace(handled(), quick_retries=2))
    assert meters.values("api_exchange.quick_retries", "api_exchange.function") == {("to-canonical",): 2}


def test_waits_for_tokens_are_in_seconds_by_api(meters: Meters) -> None:
    observer = TelemetryObserver(metrics=Metrics(meters.meter))
    for seconds in (0.25, 2):
        observer.token_waited(TenantId("customer-a"), api="shop", waited=timedelta(seconds=seconds))
    assert meters.values("api_exchange.token.wait", "api_exchange.api") == {("shop",): 2.25}


def test_metrics_that_cannot_be_counted_fail_no_work() -> None:
    class Broken(Metrics):
        @override
        def handled(self, summary: Handled) -> None:
            raise RuntimeError("hunter2")

        @override
        def event(self, name: str) -> None:
            raise RuntimeError("hunter2")

        @override
        def token_waited(self, api: str, waited: timedelta) -> None:
            raise RuntimeError("hunter2")

    observer = TelemetryObserver(metrics=Broken())
    observer.handled(handled())
    observer.token_waited(TenantId("customer-a"), api="shop", waited=timedelta(0))
    observer.event("relay.error")
