"""Calls whose end is not told: their traces end all the same, once, and no policy is broken for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from dependency_injector import providers
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Exclusive,
    Message,
    OnLost,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryableError,
    RetryPolicy,
    TransientError,
)
from api_exchange_core.application.call import Call
from api_exchange_core.application.claims import Claims, Unkept
from api_exchange_core.application.flush import Flush, Flushed
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.application.reception import WAIT_FOR_STORE
from api_exchange_core.application.tenant_gate import GATE_MEMORY
from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.journal import JournalEntry, Standing
from api_exchange_core.ports.observer import Handled, MessageTrace, Outcome
from api_exchange_testing import Harness, InMemoryTenantDirectory, RecordingObserver
from api_exchange_testing.container import in_memory_container

TENANT = TenantId("customer-a")
INBOX = QueueName("inbox")
LEASE = timedelta(minutes=5)
TWICE_QUICKLY = RetryPolicy(quick_retries=2)

During = Callable[["Bench"], object]


class Trace(MessageTrace):
    """Knows how often it was ended."""

    context = None

    def __init__(self) -> None:
        self.ends: list[str] = []

    @override
    def running(self) -> AbstractContextManager[None]:
        return nullcontext()


class TraceKeeper(RecordingObserver):
    """Keeps the traces that were begun."""

    def __init__(self) -> None:
        super().__init__()
        self.traces: list[Trace] = []

    @override
    def trace(
        self, message: Message, *, function: FunctionName, queue: QueueName, attempt: int
    ) -> MessageTrace:
        self.traces.append(Trace())
        return self.traces[-1]

    @override
    def abandoned(self, trace: MessageTrace, reason: str) -> None:
        assert isinstance(trace, Trace)
        trace.ends.append(reason)

    @override
    def handled(self, summary: Handled) -> None:
        super().handled(summary)
        if isinstance(summary.trace, Trace):
            summary.trace.ends.append(summary.outcome)


class Directory(InMemoryTenantDirectory):
    """A directory that can be out of reach."""

    out_of_reach = False

    @override
    def get(self, tenant_id: TenantId) -> Tenant | None:
        if self.out_of_reach:
            raise TransientError("no route to the directory")
        return super().get(tenant_id)


class Step(ProcessorInterface):
    """Does what its test does meanwhile."""

    def __init__(self) -> None:
        self.calls = 0
        self.during: Callable[[ProcessorContext], object] = lambda context: None

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.calls += 1
        self.during(context)
        return ProcessingResult.create_success()


class Lost(Unkept):
    """All deliveries are somebody else's by now."""

    @override
    def has_lost(self, delivery: Delivery) -> bool:
        return True


class Bench:
    """One function, and everything that can go wrong around its calls."""

    def __init__(self, **options: Any) -> None:
        self.step = Step()
        exchange = Exchange("shop", tenants=[TENANT])
        self.function = exchange.queue("step", INBOX, self.step, **options)
        self.observer, self.tenants = TraceKeeper(), Directory()
        container = in_memory_container(exchange, observer=self.observer)
        self.tenants.add([TENANT], now=container.clock().now())
        container.tenants.override(providers.Object(self.tenants))
        self.harness = Harness(exchange, container=container)
        self.handler: ProcessorHandler = container.use_cases.handler()

    def work(self, **options: Any) -> list[Settlement]:
        batch = self.harness.queues.receive(INBOX, max_messages=10, visibility=timedelta(minutes=1))
        settlements = self.handler.handle(self.function, batch, **options)
        self.harness.queues.settle(settlements)
        return settlements

    def lose_the_directory(self) -> None:
        self.harness.clock.advance(GATE_MEMORY)
        self.tenants.out_of_reach = True

    def erase_the_tenant(self) -> None:
        self.tenants.set_enabled(TENANT, enabled=False)
        self.tenants.mark_erased(TENANT, now=self.harness.clock.now())
        self.harness.clock.advance(GATE_MEMORY)

    def ends(self) -> list[list[str]]:
        return [trace.ends for trace in self.observer.traces]


def once(what: Callable[[], object]) -> Callable[[ProcessorContext], object]:
    turns = iter([True])
    return lambda context: [what() for _ in turns]


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("happens", "ends"),
    [
        (lambda bench: None, [["completed"]]),
        (lambda bench: fail(RetryableError("busy")), [["RetryableError"], ["completed"]]),
        (lambda bench: fail(PermanentError("wrong")), [["dead_lettered"]]),
        (Bench.lose_the_directory, [["TransientError"]]),
        (Bench.erase_the_tenant, [["ErasedTenantError"]]),
    ],
)
def test_the_trace_of_every_call_ends_once(happens: During, ends: Sequence[Sequence[str]]) -> None:
    bench = Bench(retry=TWICE_QUICKLY)
    bench.step.during = once(lambda: happens(bench))
    bench.harness.send(INBOX, {})
    bench.work()
    assert bench.ends() == ends


def test_the_trace_of_a_call_whose_delivery_was_lost_ends_once() -> None:
    bench = Bench()
    bench.harness.send(INBOX, {})
    assert bench.work(keeper=Lost()) == []
    assert bench.ends() == [["ClaimLostError"]]


@pytest.mark.parametrize("on_lost", OnLost)
def test_a_run_whose_tenant_nobody_can_look_up_any_more_is_run_again_only_if_that_is_the_policy(
    on_lost: OnLost,
) -> None:
    bench = Bench(exclusive=Exclusive(lease=LEASE, on_lost=on_lost))
    bench.step.during = once(bench.lose_the_directory)
    bench.harness.send(INBOX, {})
    bench.work()
    bench.tenants.out_of_reach = False
    bench.harness.clock.advance(LEASE)
    bench.work()
    assert bench.step.calls == (2 if on_lost is OnLost.RERUN else 1)


@pytest.mark.parametrize("on_lost", OnLost)
def test_a_failed_run_whose_tenant_nobody_can_look_up_any_more_has_come_to_its_end(on_lost: OnLost) -> None:
    def lose_it_and_fail() -> None:
        bench.lose_the_directory()
        raise RetryableError("busy")

    bench = Bench(exclusive=Exclusive(lease=LEASE, on_lost=on_lost))
    bench.step.during = once(lose_it_and_fail)
    bench.harness.send(INBOX, {})
    bench.work()
    bench.tenants.out_of_reach = False
    bench.harness.clock.advance(timedelta(seconds=10))
    bench.work()
    assert bench.step.calls == 2
    assert bench.observer.summaries[-1].outcome is Outcome.COMPLETED


def test_a_call_after_a_lost_race_makes_no_quick_retries_since_its_worker_has_waited_already() -> None:
    bench = Bench(retry=TWICE_QUICKLY)
    bench.handler = replace(bench.handler, flush=cast("Flush", _LosesFirst(bench.handler.flush)))
    turns = iter([None, RetryableError("busy"), RetryableError("busy")])

    def during(context: ProcessorContext) -> None:
        error = next(turns, None)
        if error is not None:
            raise error

    bench.step.during = during
    bench.harness.send(INBOX, {})
    bench.work()
    assert bench.step.calls == 2
    assert bench.ends() == [["LostRaceError"], ["retry"]]


@dataclass(frozen=True, slots=True)
class _LosesFirst:
    """A flush whose first commit finds that the processor has read what is no longer true."""

    real: Flush
    lost: list[bool] = field(default_factory=list)

    def commit(self, calls: Sequence[Call]) -> Flushed:
        if not self.lost:
            self.lost.append(True)
            raise LostRaceError("somebody was first")
        return self.real.commit(calls)


class _OfRemovedRows(Claims):
    """Claims in a journal whose rows are being removed."""

    @override
    def _claim(
        self, tenant_id: TenantId, entries: Sequence[JournalEntry], exclusive: Exclusive
    ) -> Mapping[MessageId, Standing]:
        return {}


def test_a_message_whose_row_was_removed_while_it_was_claimed_comes_back_and_holds_up_no_other() -> None:
    bench = Bench(exclusive=True)
    real = bench.handler.claims
    claims = _OfRemovedRows(real.units, real.failures, real.clock, real.observer)
    bench.handler = replace(bench.handler, claims=claims)
    bench.harness.send(INBOX, {})
    assert [one.disposition for one in bench.work()] == [WAIT_FOR_STORE]
    assert bench.step.calls == 0
