"""The threads of the runner outlive errors that nobody has foreseen, and say that there was one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from dependency_injector import providers
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    Schedule,
)
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_core.local.timers import Timers
from api_exchange_core.local.worker import Worker, WorkerLimits
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.file_sink import InMemoryFileSink
from api_exchange_testing.memory.observer import RecordingObserver
from api_exchange_testing.memory.queue import InMemoryQueue
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
from api_exchange_testing.memory.token_store import InMemoryTokenStore
from api_exchange_testing.memory.unit_of_work import InMemoryStore, InMemoryUnitOfWorkFactory

TENANT = TenantId("customer-a")


class Accepts(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


class BreaksOnce(InMemoryQueue):
    """Raises what no port may raise, the first time that it is asked."""

    broken = False

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        if not self.broken:
            self.broken = True
            raise RuntimeError("hunter2")
        return super().receive(queue, max_messages=max_messages, visibility=visibility)


class NamesAStrangerOnce(InMemoryTenantDirectory):
    """Has, the first time, a tenant whose id is none: somebody has written into the table by hand."""

    broken = False

    @override
    def all(self) -> Sequence[Tenant]:
        if not self.broken:
            self.broken = True
            return [Tenant(TenantId("../customer-a"))]
        return super().all()


class Impatient(Bell):
    """Nobody waits for it."""

    @override
    def wait(self, heard: int, *, at_most: timedelta) -> None:
        return

    @override
    def rest(self, length: timedelta, *, stopping: Callable[[], bool]) -> None:
        return


class Machine:
    """An exchange with one timer, whose parts break once."""

    def __init__(self) -> None:
        exchange = Exchange("shop", tenants=[TENANT])
        self.function = exchange.timer("fetch", Schedule.every(minutes=1), Accepts)
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.observer = RecordingObserver()
        self.queue = BreaksOnce(self.clock)
        tenants, store = NamesAStrangerOnce(), InMemoryStore()
        tenants.add([TENANT], now=self.clock.now())
        self.use_cases = UseCases(
            exchange=providers.Object(exchange),
            clock=providers.Object(self.clock),
            token_store=providers.Object(InMemoryTokenStore(self.clock)),
            randomness=providers.Object(SeededRandomness(0)),
            observer=providers.Object(self.observer),
            units=providers.Object(InMemoryUnitOfWorkFactory(store)),
            tenants=providers.Object(tenants),
            publisher=providers.Object(self.queue),
            files=providers.Object(InMemoryFileSink()),
            outbox=providers.Object(store.relay_source),
        )

    def told(self) -> str:
        return repr(self.observer.events)


def test_a_worker_goes_on_after_an_error_that_nobody_has_foreseen_and_quotes_no_text_of_it() -> None:
    here = Machine()
    here.use_cases.sender().send(here.function.input_queue, {}, tenant_id=TENANT)
    heartbeat = Heartbeat(here.observer)
    Worker(
        function=here.function,
        consumer=here.queue,
        handler=here.use_cases.handler(),
        clock=here.clock,
        observer=here.observer,
        bell=Impatient(),
        limits=WorkerLimits(),
        heartbeat=heartbeat,
        stopping=lambda: not here.queue.depths(),
    ).run()
    heartbeat.close()
    assert [handled.outcome for handled in here.observer.summaries] == [Outcome.COMPLETED]
    assert [event.name for event in here.observer.events] == ["worker.error"]
    assert "RuntimeError" in here.told()
    assert "test_threads_go_on.py" in here.told()
    assert "hunter2" not in here.told()


def test_timers_go_on_after_a_tenant_that_cannot_be_sent_a_tick() -> None:
    here = Machine()

    def stopping() -> bool:
        here.clock.advance(timedelta(minutes=1))
        return bool(here.queue.depths())

    Timers(
        functions=[here.function],
        fan_out=here.use_cases.fan_out(),
        clock=here.clock,
        observer=here.observer,
        bell=Impatient(),
        stopping=stopping,
    ).run()
    assert [message.outgoing.tenant_id for message in here.queue.messages(here.function.input_queue)] == [
        TENANT
    ]
    assert [event.name for event in here.observer.events] == ["timer.error"]
    assert "TenantError" in here.told()
