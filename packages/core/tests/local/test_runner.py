"""A runner: what it starts, what it refuses to start, and that nothing of it is left when it has stopped."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from dependency_injector import providers
from pydantic import SecretStr
from typing_extensions import override

from api_exchange_core import (
    DeclarationError,
    Exchange,
    FileOutputHandler,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    Schedule,
    TenantFromApiKey,
)
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.application.chores import Chore, Done
from api_exchange_core.containers.local import LocalContainer, LocalSettings, local_container
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.local import runner
from api_exchange_core.local.runner import Runner
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.observer import Handled, Outcome
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_testing import RecordingObserver, VirtualClock
from packages.core.tests.local.begun_threads import BegunThreads

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TENANTS = ("customer-a", "customer-b")

NewRunner = Callable[..., Runner]


class Send(ProcessorInterface):
    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("step"))
        return result


class Step(ProcessorInterface):
    @override
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        await asyncio.sleep(0)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("done"))
        result.add_output_handler(FileOutputHandler("done.jsonl"))
        return result


def shop() -> Exchange:
    exchange = Exchange("shop", tenants=TENANTS)
    exchange.timer("send", Schedule.every(minutes=20), Send)
    exchange.queue("step", "step", Step)
    return exchange


class Machine:
    """One machine on SQLite, on a clock that the test advances."""

    def __init__(
        self,
        folder: Path,
        exchange: Exchange,
        observer: RecordingObserver | None = None,
        **settings: object,
    ) -> None:
        self.folder = folder
        self.clock = VirtualClock(NOON)
        self.observer = RecordingObserver() if observer is None else observer
        values = {"port": 0, "output_folder": folder / "output", **settings}
        self.container: LocalContainer = local_container(
            exchange,
            LocalSettings(database_url=SecretStr(f"sqlite:///{folder}/exchange.db")).model_copy(
                update=values
            ),
            observer=self.observer,
        )
        self.container.clock.override(providers.Object(self.clock))
        migrate.upgrade(self.container.engine())
        self.container.tenants().add(exchange.tenants, now=NOON)
        self.runner: Runner = self.container.runner()

    def depth(self, queue: str) -> int:
        return self.container.queue().depths().get(QueueName(queue), 0)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            self.runner.bell.wait(self.runner.bell.rings, at_most=timedelta(milliseconds=10))

    def done(self) -> list[tuple[str, object]]:
        taken = self.container.queue().receive(QueueName("done"), max_messages=100, visibility=timedelta(0))
        return sorted((message.tenant_id, message.payload) for message in (decode(one.body) for one in taken))


NewMachine = Callable[..., Machine]


@pytest.fixture
def new_machine(tmp_path: Path) -> Iterator[NewMachine]:
    """Makes machines on one database, and stops them after the test."""
    made: list[Machine] = []

    def new(exchange: Exchange, **options: Any) -> Machine:
        made.append(Machine(tmp_path, exchange, **options))
        return made[-1]

    yield new
    for machine in made:
        machine.runner.stop()
        machine.container.engine().dispose()


def tick_payload(at: datetime) -> dict[str, str]:
    return {"scheduled_at": at.isoformat()}


# Starting


def test_every_function_has_a_worker_beside_timers_and_chores(new_machine: NewMachine) -> None:
    begun = BegunThreads()
    machine = new_machine(shop())
    machine.runner.start()
    chores = ["count-token-uses", "purge-expired", "relay-outbox", "sweep-erased", "sweep-tokens"]
    assert begun.names == [*chores[:3], "send", "step", *chores[3:], "timers"]


def test_a_processor_that_cannot_be_made_stops_the_start_before_any_thread(new_machine: NewMachine) -> None:
    class NeedsMore(Send):
        def __init__(self, key: str) -> None:
            self.key = key

    exchange = shop()
    exchange.http("intake", "/orders", Send, tenant=TenantFromApiKey())
    exchange.queue("broken", "broken", NeedsMore)
    machine = new_machine(exchange)
    begun = BegunThreads()
    with pytest.raises(DeclarationError, match="'broken'"):
        machine.runner.start()
    assert begun.all == []
    assert machine.runner.http_port is None


def test_a_port_that_is_taken_stops_the_start_and_says_how_to_choose_another(
    new_machine: NewMachine,
) -> None:
    exchange = shop()
    exchange.http("intake", "/orders", Send, tenant=TenantFromApiKey())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        machine = new_machine(exchange, port=port)
        begun = BegunThreads()
        with pytest.raises(DeclarationError, match=f"127.0.0.1:{port}.*--port"):
            machine.runner.start()
        assert begun.all == []


def test_without_an_http_function_nothing_is_served(new_machine: NewMachine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        machine = new_machine(shop(), port=taken.getsockname()[1])
        begun = BegunThreads()
        machine.runner.start()
        assert machine.runner.http_port is None
        assert "http" not in begun.names


def test_with_an_http_function_requests_are_served_on_the_port_that_it_tells(new_machine: NewMachine) -> None:
    exchange = shop()
    exchange.http("intake", "/orders", Send, tenant=TenantFromApiKey())
    machine = new_machine(exchange)
    machine.runner.start()
    answer = httpx.get(f"http://127.0.0.1:{machine.runner.http_port}/healthz", trust_env=False)
    assert answer.json() == {"status": "ok"}


# Stopping


def test_stopping_ends_every_thread_and_frees_the_port(new_machine: NewMachine) -> None:
    exchange = shop()
    exchange.http("intake", "/orders", Send, tenant=TenantFromApiKey())
    machine = new_machine(exchange)
    begun = BegunThreads()
    machine.runner.start()
    port = machine.runner.http_port
    assert port is not None
    httpx.post(f"http://127.0.0.1:{port}/orders", json={}, trust_env=False)
    machine.runner.tick("send")
    machine.wait_until(
        lambda: machine.depth("done") == 2
    )  # by now the event loop of async processors runs, too
    machine.runner.stop()
    assert set(begun.names) <= {"AnyIO worker thread"}  # Starlette's; they end by themselves
    machine.wait_until(lambda: not begun.all)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_stopping_does_not_wait_for_polls(new_machine: NewMachine) -> None:
    machine = new_machine(shop())
    machine.runner.start()
    began = time.monotonic()
    machine.runner.stop()
    assert time.monotonic() - began < 10


def test_stopping_twice_is_as_good_as_once(new_machine: NewMachine) -> None:
    machine = new_machine(shop())
    machine.runner.start()
    machine.runner.stop()
    machine.runner.stop()


def test_what_is_in_hand_is_finished_and_what_has_not_begun_is_left(new_machine: NewMachine) -> None:
    began = threading.Event()
    go_on = threading.Event()

    class Slow(ProcessorInterface):
        @override
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            began.set()
            go_on.wait(30)
            return ProcessingResult.create_success()

    exchange = Exchange("shop", tenants=TENANTS)
    exchange.queue("slow", "slow", Slow)
    machine = new_machine(exchange)
    for number in range(3):
        machine.container.use_cases.sender().send(
            QueueName("slow"), {"n": number}, tenant_id=TenantId("customer-a")
        )
    machine.runner.start()
    assert began.wait(30)
    assert machine.runner.waiting == 3
    stopping = threading.Thread(target=machine.runner.stop)
    stopping.start()
    machine.wait_until(lambda: machine.runner.bell.rings > 0)  # the stop has rung
    go_on.set()
    stopping.join()
    assert machine.runner.waiting == 2
    outcomes = [summary.outcome for summary in machine.observer.summaries]
    assert outcomes.count(Outcome.COMPLETED) == 1
    assert set(outcomes) <= {Outcome.COMPLETED, Outcome.GIVEN_BACK}


def test_a_processor_that_hangs_is_named_after_the_grace_period_and_its_message_comes_back(
    new_machine: NewMachine,
) -> None:
    begun = BegunThreads()
    began = threading.Event()
    go_on = threading.Event()

    class Hangs(ProcessorInterface):
        @override
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            began.set()
            go_on.wait(30)
            return ProcessingResult.create_success()

    exchange = shop()
    exchange.queue("hangs", "hangs", Hangs)
    machine = new_machine(exchange, stop_grace=0.05)
    machine.container.use_cases.sender().send(QueueName("hangs"), {}, tenant_id=TenantId("customer-a"))
    machine.runner.start()
    assert began.wait(30)
    began_to_stop = time.monotonic()
    assert list(machine.runner.stop()) == ["hangs"]
    assert time.monotonic() - began_to_stop < 10
    [event] = machine.observer.events
    assert (event.name, event.facts["functions"]) == ("runner.still_running", "hangs")
    assert machine.depth("hangs") == 1
    assert begun.names == ["hangs"]
    go_on.set()
    machine.wait_until(lambda: not begun.all)


def test_an_http_server_that_dies_stops_the_runner_loudly(new_machine: NewMachine) -> None:
    told = threading.Event()
    exchange = shop()
    exchange.http("intake", "/orders", Send, tenant=TenantFromApiKey())
    machine = new_machine(exchange)
    machine.runner.on_broken = told.set
    begun = BegunThreads()
    machine.runner.start()
    assert machine.runner.broken is None
    assert {"send", "step", "timers", "relay-outbox"} <= set(begun.names)
    server = machine.runner._http
    assert server is not None
    assert server._server is not None
    server._server.should_exit = True
    assert told.wait(30)
    assert "the HTTP server ended" in str(machine.runner.broken)
    assert "runner.broken" in [event.name for event in machine.observer.events]
    machine.wait_until(lambda: not {"send", "step", "timers", "relay-outbox"} & set(begun.names))


def test_an_http_server_that_is_stopped_is_not_broken(new_machine: NewMachine) -> None:
    exchange = shop()
    exchange.http("intake", "/orders", Send, tenant=TenantFromApiKey())
    machine = new_machine(exchange)
    machine.runner.start()
    assert list(machine.runner.stop()) == []
    assert machine.runner.broken is None
    assert machine.observer.events == []


# Timers


def test_timers_fire_by_their_schedule(new_machine: NewMachine) -> None:
    machine = new_machine(shop())
    machine.runner.start()
    machine.clock.advance(timedelta(minutes=20))
    machine.runner.bell.ring()
    machine.wait_until(lambda: machine.depth("done") == 2)
    payload = tick_payload(NOON + timedelta(minutes=20))
    assert machine.done() == [("customer-a", payload), ("customer-b", payload)]


def test_with_timers_off_none_fires_by_its_schedule_but_still_when_asked_to(new_machine: NewMachine) -> None:
    machine = new_machine(shop(), timers=False)
    begun = BegunThreads()
    machine.runner.start()
    assert "timers" not in begun.names
    assert machine.runner.next_ticks() == {}
    machine.clock.advance(timedelta(hours=3))
    machine.runner.tick("send", NOON)
    machine.wait_until(lambda: machine.depth("done") == 2)
    assert machine.done() == [("customer-a", tick_payload(NOON)), ("customer-b", tick_payload(NOON))]


def test_every_timer_can_be_fired_now_and_nothing_else_is(new_machine: NewMachine) -> None:
    exchange = shop()
    exchange.timer("yearly", Schedule.cron("0 0 29 2 *"), Send)
    machine = new_machine(exchange)
    machine.runner.tick_all()
    assert machine.container.queue().depths() == {"send": 2, "yearly": 2}


def test_it_tells_when_each_timer_fires_next(new_machine: NewMachine) -> None:
    machine = new_machine(shop())
    assert machine.runner.next_ticks() == {"send": NOON + timedelta(minutes=20)}


def test_a_tick_of_an_unknown_function_says_which_there_are(new_machine: NewMachine) -> None:
    with pytest.raises(DeclarationError, match="send, step"):
        new_machine(shop()).runner.tick("sned")


# Waiting


def test_only_messages_that_a_function_consumes_are_counted_as_waiting(new_machine: NewMachine) -> None:
    machine = new_machine(shop())
    send = machine.container.use_cases.sender().send
    for queue in ("step", "step", "send", "done", "elsewhere"):
        send(QueueName(queue), {}, tenant_id=TenantId("customer-a"))
    assert machine.runner.waiting == 3
    machine.runner.start()
    machine.wait_until(lambda: machine.runner.waiting == 0)
    assert machine.depth("elsewhere") == 1


def test_what_is_committed_and_not_yet_told_of_is_counted_as_waiting(new_machine: NewMachine) -> None:
    telling = threading.Event()
    go_on = threading.Event()

    class Unhurried(RecordingObserver):
        @override
        def handled(self, summary: Handled) -> None:
            telling.set()
            go_on.wait(30)
            super().handled(summary)

    machine = new_machine(shop(), observer=Unhurried())
    machine.container.use_cases.sender().send(QueueName("step"), {}, tenant_id=TenantId("customer-a"))
    machine.runner.start()
    assert telling.wait(30)
    assert machine.depth("step") == 0
    assert machine.runner.waiting == 1
    go_on.set()
    machine.wait_until(lambda: machine.runner.waiting == 0)
    assert [summary.outcome for summary in machine.observer.summaries] == [Outcome.COMPLETED]


# The relay


def test_the_relay_sends_what_a_process_that_died_has_left_in_the_outbox(new_machine: NewMachine) -> None:
    machine = new_machine(shop())
    with machine.container.use_cases.units().begin(TenantId("customer-a")) as unit:
        line = OutgoingLine(tenant_id=TenantId("customer-a"), name="left.jsonl", line=b'{"n": 1}')
        unit.outbox.add([line], now=NOON - timedelta(hours=1))
        unit.commit()
    machine.runner.start()
    machine.wait_until(lambda: machine.container.use_cases.outbox().pending() == 0)
    assert (machine.folder / "output/customer-a/left.jsonl").read_bytes() == b'{"n": 1}\n'


# Chores


def test_a_chore_that_hangs_or_fails_holds_up_no_other_and_no_stop(
    new_machine: NewMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_CHORE_ENDS", timedelta(milliseconds=10))
    machine = new_machine(shop())
    go_on = threading.Event()
    soon = timedelta(milliseconds=1)
    rounds: list[int] = []

    def hang() -> Done:
        go_on.wait(30)
        return Done(0)

    def fail() -> Done:
        raise RuntimeError("hunter2")

    def work() -> Done:
        rounds.append(len(rounds))
        return Done(0)

    machine.runner.chores = [
        Chore(name="hangs", every=soon, round=hang),
        Chore(name="fails", every=soon, round=fail),
        Chore(name="works", every=soon, round=work),
    ]
    begun = BegunThreads()
    machine.runner.start()
    machine.wait_until(lambda: len(rounds) > 3 and len(machine.observer.events) > 3)
    machine.runner.stop()
    told = {(event.name, event.facts["chore"]) for event in machine.observer.events}
    assert told == {("chore.error", "fails"), ("chore.left_running", "hangs")}
    go_on.set()
    machine.wait_until(lambda: not begun.all)


def test_of_two_machines_one_purges_what_has_been_kept_long_enough(new_machine: NewMachine) -> None:
    machines = [new_machine(shop(), timers=False) for _ in range(2)]
    expired = JournalEntry(
        function=FunctionName("step"),
        message_id=MessageId("long-ago"),
        state=ProcessingState.COMPLETED,
        attempts=1,
        correlation_id="long-ago",
        causation_id=None,
        entity_id=None,
        started_at=NOON - timedelta(days=100),
        finished_at=NOON - timedelta(days=100),
    )
    tenant = TenantId(TENANTS[0])
    with machines[0].container.units().begin(tenant) as unit:
        unit.journal.complete([expired])
        unit.commit()

    def is_purged() -> bool:
        with machines[0].container.units().begin(tenant) as unit:
            return not unit.journal.trace("long-ago")

    def purges() -> list[object]:
        events = [event for machine in machines for event in machine.observer.events]
        return [
            event.facts["count"]
            for event in events
            if (event.name, event.facts.get("chore")) == ("chore.done", "purge-expired")
        ]

    for machine in machines:
        machine.runner.start()
    machines[0].wait_until(is_purged)
    for machine in machines:
        machine.runner.stop()
    assert purges() == [1]
    assert [event.name for machine in machines for event in machine.observer.events] == ["chore.done"]
