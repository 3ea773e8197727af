"""What becomes of messages while the store, or the directory of tenants, is out of reach or raises anything at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from dependency_injector import providers
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    RetryPolicy,
    TransientError,
)
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import Harness
from api_exchange_testing.container import in_memory_container
from api_exchange_testing.memory.error_log import InMemoryErrorLog
from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
from api_exchange_testing.memory.unit_of_work import (
    InMemoryStore,
    InMemoryUnitOfWork,
    InMemoryUnitOfWorkFactory,
)

TENANT = TenantId("customer-a")
ERRORS = [TransientError("out of reach"), RuntimeError("hunter2")]


class Counts(ProcessorInterface):
    def __init__(self) -> None:
        self.attempts: list[int] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.attempts.append(context.attempt)
        if message.payload == "wrong":
            raise PermanentError("wrong")
        return ProcessingResult.create_success()


class RefusingErrorLog(InMemoryErrorLog):
    """Stores no error of one message, as a database refuses a number that is too large for its column."""

    refused = ""

    @override
    def add(self, entries: Sequence[ErrorEntry]) -> None:
        if any(entry.message_id == self.refused for entry in entries):
            raise OverflowError("too large")
        super().add(entries)


class TroubledUnits(InMemoryUnitOfWorkFactory):
    """Raises an error for those units of work, counted from 1, that it is told."""

    def __init__(self, store: InMemoryStore) -> None:
        super().__init__(store)
        self.begun = 0
        self.failing = range(0)
        self.error: Exception = TransientError("out of reach")
        self.refused = ""

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[InMemoryUnitOfWork]:
        self.begun += 1
        if self.begun in self.failing:
            raise self.error
        with super().begin(tenant_id) as unit:
            rows = self._store.of(tenant_id)
            unit._errors = log = RefusingErrorLog(rows.errors, rows.groups, tenant_id, self._store.changed)
            log.refused = self.refused
            yield unit


class TroubledTenants(InMemoryTenantDirectory):
    """Raises an error for so many look-ups."""

    error: Exception
    failing = 0

    @override
    def get(self, tenant_id: TenantId) -> Tenant | None:
        if self.failing:
            self.failing -= 1
            raise self.error
        return super().get(tenant_id)


class TroubledHarness(Harness):
    def __init__(self, exchange: Exchange) -> None:
        container = in_memory_container(exchange)
        self.units = TroubledUnits(container.store())
        self.directory = TroubledTenants()
        self.directory.add(exchange.tenants, now=container.clock().now())
        container.units.override(providers.Object(self.units))
        container.tenants.override(providers.Object(self.directory))
        super().__init__(exchange, container=container)


def troubled(processor: ProcessorInterface) -> TroubledHarness:
    exchange = Exchange("shop", tenants=[TENANT])
    exchange.queue("step", "inbox", processor, retry=RetryPolicy(max_attempts=2))
    return TroubledHarness(exchange)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("step", range(1, 5), ids=["reception", "flush", "flush of one", "record"])
def test_an_error_of_the_store_at_any_step_loses_nothing_and_quotes_nothing(
    error: Exception, step: int
) -> None:
    harness = troubled(Counts())
    for n in range(3):
        harness.send("inbox", n)
    harness.units.failing, harness.units.error = range(min(step, 2), step + 1), error
    handled = harness.run()
    assert [one.outcome for one in handled].count(Outcome.COMPLETED) == 3
    assert harness.dead_letters() == []
    assert "hunter2" not in repr(harness.observer.events)


def test_a_store_out_of_reach_is_waited_for_once_a_batch_and_costs_one_message_an_attempt() -> None:
    processor = Counts()
    harness = troubled(processor)
    for n in range(10):
        harness.send("inbox", n)
    _reception, flush, _flush_of_one, record = range(1, 5)
    harness.units.failing = range(flush, record + 1)
    handled = harness.run()
    assert [one.outcome for one in handled[:10]] == [Outcome.RETRY] + [Outcome.GIVEN_BACK] * 9
    assert sorted(processor.attempts) == [1] * 19 + [2]
    assert [one.outcome for one in handled[10:]] == [Outcome.COMPLETED] * 10
    assert harness.units.begun < record + 10


@pytest.mark.parametrize("error", ERRORS)
def test_a_directory_out_of_reach_costs_no_attempt(error: Exception) -> None:
    processor = Counts()
    harness = troubled(processor)
    harness.directory.error, harness.directory.failing = error, 20
    harness.send("inbox", 1)
    harness.run()
    assert processor.attempts == [1]
    assert harness.dead_letters() == []


def test_a_tenant_passes_as_soon_as_it_is_added() -> None:
    processor = Counts()
    harness = troubled(processor)
    harness.send("inbox", 1, tenant="new")
    harness.run()
    assert len(harness.dead_letters("inbox")) == 1
    harness.directory.add([TenantId("new")], now=harness.clock.now())
    harness.send("inbox", 2, tenant="new")
    harness.run()
    assert len(processor.attempts) == 1


def test_a_failure_that_cannot_be_recorded_dead_letters_its_message_and_the_others_are_recorded() -> None:
    harness = troubled(Counts())
    first, refused, third = (harness.send("inbox", "wrong").id for _ in range(3))
    harness.units.refused = refused
    harness.run()
    assert len(harness.dead_letters("inbox")) == 3
    with harness.units.begin(TENANT) as unit:
        recorded = [len(unit.errors.of_message(id_)) for id_ in (first, refused, third)]
    assert recorded == [1, 0, 1]
