"""Exclusive functions: who has the claim commits, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
    QueueOutputHandler,
    RetryableError,
    Schedule,
    TenantFromApiKey,
    TransientError,
)
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.application.claims import Unkept
from api_exchange_core.application.dead_letter_job import CarryOutDeadLetterJob
from api_exchange_core.application.find_dead_letters import FindDeadLetters
from api_exchange_core.application.held_messages import HeldMessages
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.dead_letter import LetterFilter
from api_exchange_core.domain.dead_letter_job import JobAction, JobOrder
from api_exchange_core.domain.delivery import Defer, Settlement
from api_exchange_core.domain.envelope import decode, decode_failure, encode
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.observer import Outcome
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing import (
    InMemoryDeadLetterJobs,
    InMemoryDeadLetters,
    InMemoryFileSink,
    InMemoryQueue,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryUnitOfWorkFactory,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
    VirtualSleeper,
)
from api_exchange_testing.memory.token_store import InMemoryTokenStore

TENANT = TenantId("customer-a")
INBOX = QueueName("inbox")
DONE = QueueName("done")
VISIBILITY = timedelta(minutes=1)
LEASE = timedelta(minutes=5)
ANYTHING: Any = 300

During = Callable[[Message, ProcessorContext], object]


class Killed(BaseException):
    """The process ends here: nothing after it runs, nothing is settled."""


class Step(ProcessorInterface):
    """Sends the message on, after what its test does meanwhile."""

    def __init__(self) -> None:
        self.during: During = lambda message, context: None
        self.calls: list[Any] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.calls.append(message.payload)
        self.during(message, context)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("done"))
        return result


class StepLater(Step):
    """The same as a coroutine."""

    @override
    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # type: ignore[override]  # a processor may be either
        return super().process(message, context)


class Shop:
    """One exclusive function on a store, with queues that are not part of it unless the store says so."""

    def __init__(self, clock: VirtualClock, queue: InMemoryQueue, units: UnitOfWorkFactory) -> None:
        self.clock, self.queue, self.units = clock, queue, units
        self.observer = RecordingObserver()
        self.step = Step()

    def declare(self, exclusive: bool | Exclusive, step: Step | None = None, **options: Any) -> Shop:
        self.step = self.step if step is None else step
        exchange = Exchange("shop", tenants=[TENANT])
        self.function = exchange.queue("step", INBOX, self.step, exclusive=exclusive, **options)
        tenants = InMemoryTenantDirectory()
        tenants.add([TENANT], now=self.clock.now())
        self.use_cases = UseCases(
            exchange=providers.Object(exchange),
            clock=providers.Object(self.clock),
            token_store=providers.Object(InMemoryTokenStore(self.clock)),
            randomness=providers.Object(SeededRandomness(0)),
            observer=providers.Object(self.observer),
            units=providers.Object(self.units),
            tenants=providers.Object(tenants),
            publisher=providers.Object(self.queue),
            files=providers.Object(InMemoryFileSink()),
            outbox=providers.Object(InMemoryStore().relay_source),
        )
        return self

    def send(self, *payloads: Any) -> list[Message]:
        sender = self.use_cases.sender()
        return [sender.send(INBOX, payload, tenant_id=TENANT) for payload in payloads]

    def work(self, **options: Any) -> list[Settlement]:
        """Handle and settle one batch."""
        batch = self.queue.receive(INBOX, max_messages=10, visibility=VISIBILITY)
        settlements = self.use_cases.handler().handle(self.function, batch, **options) if batch else []
        self.queue.settle(settlements)
        return settlements

    def work_and_die(self) -> None:
        with pytest.raises(Killed):
            self.work()
        self.step.during = lambda message, context: None

    def done(self) -> list[Any]:
        return sorted(decode(message.body).payload for message in self.queue.messages(DONE))

    def letters(self) -> list[str]:
        failures = [decode_failure(letter.body) for letter in self.queue.messages(QueueName("inbox-dlq"))]
        return [failure.code for failure in failures if failure is not None]

    def states(self, *messages: Message) -> list[tuple[ProcessingState, int]]:
        with self.units.begin(TENANT) as unit:
            rows = [row for one in messages for row in unit.journal.trace(one.correlation_id)]
        return [(row.state, row.fence) for row in rows if row.function == "step"]

    def outcomes(self) -> list[Outcome]:
        return [summary.outcome for summary in self.observer.summaries]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def memory_shop(clock: VirtualClock) -> Shop:
    queue = InMemoryQueue(clock)
    return Shop(clock, queue, InMemoryUnitOfWorkFactory(InMemoryStore()))


@pytest.fixture(params=["memory", "memory with queues", "sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, clock: VirtualClock, tmp_path: Path) -> Iterator[Shop]:
    """On each store."""
    queue = InMemoryQueue(clock)
    if request.param.startswith("memory"):
        inside = queue if request.param.endswith("queues") else None
        yield Shop(clock, queue, InMemoryUnitOfWorkFactory(InMemoryStore(queue=inside)))
        return
    url = f"sqlite:///{tmp_path}/exchange.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    engine = create_engine_for(url)
    migrate.upgrade(engine)
    SqlTenantDirectory(engine).add([TENANT], now=clock.now())
    yield Shop(clock, queue, SqlUnitOfWorkFactory(engine, queues_here=False))
    engine.dispose()


def dies(message: Message, context: ProcessorContext) -> None:
    raise Killed


def hands_over_to(shop: Shop, then: During = lambda message, context: None) -> During:
    """While the first runs, its lease and visibility run out, and another worker has the message."""
    turns = iter([True])

    def during(message: Message, context: ProcessorContext) -> None:
        for _ in turns:
            shop.clock.advance(LEASE)
            shop.work()
            then(message, context)

    return during


# The fence


def test_who_wakes_after_its_successor_has_committed_writes_nothing(shop: Shop) -> None:
    shop.declare(Exclusive(lease=LEASE))
    [message] = shop.send("order")
    shop.step.during = hands_over_to(shop)
    assert shop.work() == []
    assert shop.step.calls == ["order", "order"]
    assert shop.done() == ["order"]
    assert shop.states(message) == [(ProcessingState.COMPLETED, 2)]
    assert [event.name for event in shop.observer.events] == ["claim.lost"]
    shop.clock.advance(VISIBILITY)
    assert shop.work() == []


@pytest.mark.parametrize("error", [RetryableError("late"), PermanentError("late")])
def test_who_fails_after_its_successor_has_committed_writes_nothing(shop: Shop, error: Exception) -> None:
    def fail(message: Message, context: ProcessorContext) -> None:
        raise error

    shop.declare(Exclusive(lease=LEASE))
    [message] = shop.send("order")
    shop.step.during = hands_over_to(shop, fail)
    assert shop.work() == []
    assert (shop.done(), shop.letters()) == (["order"], [])
    assert shop.states(message) == [(ProcessingState.COMPLETED, 2)]
    with shop.units.begin(TENANT) as unit:
        assert list(unit.errors.of_message(message.id)) == []


def test_a_late_worker_leaves_the_rest_of_its_batch_committed(shop: Shop) -> None:
    shop.declare(Exclusive(lease=LEASE))
    first, second = shop.send("first", "second")

    def only_first(message: Message, context: ProcessorContext) -> None:
        if message.payload == "first" and not taken_over:
            taken_over.append(True)
            with shop.units.begin(TENANT) as unit:  # another process that found the lease run out
                [row] = unit.journal.trace(first.correlation_id)
                late = replace(
                    row, started_at=row.started_at + LEASE, leased_until=row.started_at + 2 * LEASE
                )
                assert unit.journal.claim([late], on_lost=OnLost.RERUN)[first.id].taken
                unit.commit()

    taken_over: list[bool] = []
    shop.step.during = only_first
    shop.work()
    assert shop.done() == ["second"]
    assert shop.states(first, second) == [(ProcessingState.RUNNING, 2), (ProcessingState.COMPLETED, 1)]


@pytest.mark.parametrize("step", [Step, StepLater])
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("on_lost", OnLost)
def test_a_batch_is_worked_off_whatever_the_kind_of_processor(
    memory_shop: Shop, on_lost: OnLost, concurrency: int, step: type[Step]
) -> None:
    shop = memory_shop.declare(Exclusive(on_lost=on_lost), step(), concurrency=concurrency)
    messages = shop.send(*range(6))
    shop.work()
    assert shop.done() == list(range(6))
    assert shop.states(*messages) == [(ProcessingState.COMPLETED, 1)] * 6
    shop.use_cases.calls().close()


def test_a_second_copy_waits_until_the_lease_of_the_first_ends(memory_shop: Shop) -> None:
    shop = memory_shop.declare(Exclusive(lease=LEASE))
    shop.send("order")
    endings: list[Any] = []

    def look(message: Message, context: ProcessorContext) -> None:
        shop.clock.advance(VISIBILITY)
        endings.extend(one.disposition for one in shop.work())

    shop.step.during = look
    shop.work()
    assert endings == [Defer(LEASE - VISIBILITY)]
    assert shop.done() == ["order"]
    shop.clock.advance(LEASE)
    shop.work()
    assert shop.outcomes() == [Outcome.DEFERRED, Outcome.COMPLETED, Outcome.DUPLICATE]


@pytest.mark.parametrize("on_lost", OnLost)
def test_what_was_claimed_and_has_not_begun_is_free_again_at_once(shop: Shop, on_lost: OnLost) -> None:
    shop.declare(Exclusive(lease=LEASE, on_lost=on_lost))
    messages = shop.send("first", "second", "third")
    shop.work(stop=lambda: len(shop.step.calls) == 1)
    assert {state for state, _ in shop.states(*messages)} <= {
        ProcessingState.COMPLETED,
        ProcessingState.RETRYING,
    }
    shop.work()
    assert shop.done() == ["first", "second", "third"]
    assert shop.step.calls == ["first", "second", "third"]


def test_who_renews_keeps_the_claim(shop: Shop) -> None:
    class Beats(Unkept):
        """Renews when its test says so."""

        @override
        def keeping(self, renew: Callable[[], None], *, every: timedelta) -> AbstractContextManager[None]:
            assert every == LEASE / 3
            renewals.append(renew)
            return nullcontext()

    def outlasts_its_lease(message: Message, context: ProcessorContext) -> None:
        for _ in range(6):
            shop.clock.advance(LEASE / 3)
            renewals[0]()
        shop.work()  # by now another worker has the delivery, and finds it claimed

    renewals: list[Callable[[], None]] = []
    shop.declare(Exclusive(lease=LEASE))
    [message] = shop.send("order")
    shop.step.during = outlasts_its_lease
    shop.work(keeper=Beats())
    assert (shop.step.calls, shop.done()) == (["order"], ["order"])
    assert shop.states(message) == [(ProcessingState.COMPLETED, 1)]


# Processes that die


def test_killed_while_it_runs_it_runs_again_if_that_is_the_policy(shop: Shop) -> None:
    shop.declare(Exclusive(lease=LEASE, on_lost=OnLost.RERUN))
    [message] = shop.send("order")
    shop.step.during = dies
    shop.work_and_die()
    shop.clock.advance(LEASE)
    shop.work()
    assert shop.done() == ["order"]
    assert shop.states(message) == [(ProcessingState.COMPLETED, 2)]


def test_killed_while_it_runs_it_is_dead_lettered_if_that_is_the_policy_until_it_is_released(
    shop: Shop,
) -> None:
    shop.declare(Exclusive(lease=LEASE, on_lost=OnLost.DEAD_LETTER))
    [message] = shop.send("order")
    shop.step.during = dies
    shop.work_and_die()
    shop.clock.advance(LEASE)
    shop.work()
    replay(shop, message)
    shop.work()
    assert (shop.done(), shop.letters()) == ([], ["LeaseRanOut"] * 2)
    assert shop.step.calls == ["order"]
    assert HeldMessages(shop.use_cases.units()).release(TENANT, shop.function.name, [message.id]) == {
        message.id
    }
    replay(shop, message)
    shop.work()
    assert shop.done() == ["order"]


def test_killed_while_it_runs_it_is_held_if_that_is_the_policy_until_it_is_released(shop: Shop) -> None:
    shop.declare(Exclusive(lease=LEASE, on_lost=OnLost.HOLD))
    [message] = shop.send("order")
    shop.step.during = dies
    shop.work_and_die()
    shop.clock.advance(LEASE)
    held = HeldMessages(shop.use_cases.units())
    for _ in range(20):
        [settlement] = shop.work()
        assert settlement.disposition == Defer(timedelta(minutes=1))
        assert settlement.delivery.receive_count == 2
        shop.clock.advance(timedelta(minutes=1))
    assert [row.message_id for row in held.waiting(TENANT)] == [message.id]
    assert held.release(TENANT, shop.function.name, [message.id]) == {message.id}
    shop.work()
    assert shop.done() == ["order"]
    assert held.waiting(TENANT) == []


def test_a_held_message_that_an_operator_gives_up_is_dead_lettered(shop: Shop) -> None:
    shop.declare(Exclusive(lease=LEASE, on_lost=OnLost.HOLD))
    [message] = shop.send("order")
    shop.step.during = dies
    shop.work_and_die()
    shop.clock.advance(LEASE)
    shop.work()
    held = HeldMessages(shop.use_cases.units())
    assert held.give_up(TENANT, shop.function.name, [message.id]) == {message.id}
    shop.clock.advance(timedelta(minutes=1))
    shop.work()
    assert (shop.done(), shop.letters()) == ([], ["LeaseRanOut"])


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_process_that_dies_takes_along_only_what_ran_side_by_side(
    memory_shop: Shop, concurrency: int
) -> None:
    shop = memory_shop.declare(Exclusive(lease=LEASE, on_lost=OnLost.DEAD_LETTER), concurrency=concurrency)

    def dies_at_four(message: Message, context: ProcessorContext) -> None:
        if message.payload == 4:
            raise Killed

    shop.send(*range(9))
    shop.step.during = dies_at_four
    shop.work_and_die()
    shop.clock.advance(LEASE)
    shop.work()
    assert len(shop.letters()) == concurrency
    assert len(shop.done()) == 9 - concurrency


# Stores out of reach


class Unreachable(UnitOfWorkFactory):
    """A store that cannot be reached for some of the units of work, counted from 1."""

    def __init__(self, units: UnitOfWorkFactory, *out_of_reach: int) -> None:
        self.units, self.out_of_reach, self.begun = units, out_of_reach, 0

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        self.begun += 1
        if self.begun in self.out_of_reach:
            raise TransientError("out of reach")
        with self.units.begin(tenant_id) as unit:
            yield unit


def test_what_cannot_be_claimed_for_now_is_neither_run_nor_lost(memory_shop: Shop) -> None:
    _reception, claim = 1, 2
    memory_shop.units = Unreachable(memory_shop.units, claim)
    shop = memory_shop.declare(exclusive=True)
    shop.send("order")
    shop.work()
    assert shop.step.calls == []
    shop.clock.advance(VISIBILITY)
    shop.work()
    assert shop.done() == ["order"]


@pytest.mark.parametrize("on_lost", [OnLost.HOLD, OnLost.DEAD_LETTER])
def test_a_run_that_could_not_be_committed_is_not_run_again_by_itself(
    memory_shop: Shop, on_lost: OnLost
) -> None:
    _reception, _claim, flush = 1, 2, 3
    memory_shop.units = Unreachable(memory_shop.units, flush)
    shop = memory_shop.declare(Exclusive(lease=LEASE, on_lost=on_lost))
    shop.send("order")
    assert shop.work() == []
    shop.clock.advance(LEASE)
    shop.work()
    assert (shop.step.calls, shop.done()) == (["order"], [])


def test_a_run_that_could_not_be_committed_is_run_again_where_that_is_the_policy(memory_shop: Shop) -> None:
    _reception, _claim, flush = 1, 2, 3
    memory_shop.units = Unreachable(memory_shop.units, flush)
    shop = memory_shop.declare(exclusive=True)
    shop.send("order")
    shop.work()
    shop.clock.advance(timedelta(seconds=10))
    shop.work()
    assert (shop.step.calls, shop.done()) == (["order", "order"], ["order"])


# Declaring


def test_every_trigger_takes_it_and_true_means_the_defaults() -> None:
    exchange = Exchange("shop")
    own = Exclusive(lease=timedelta(hours=1), on_lost=OnLost.HOLD)
    functions = [
        exchange.queue("queue", "inbox", Step, exclusive=own),
        exchange.timer("timer", Schedule.every(minutes=5), Step, exclusive=True),
        exchange.http("http", "/orders", Step, tenant=TenantFromApiKey(), exclusive=False),
        exchange.queue("plain", "plain", Step),
    ]
    assert [function.exclusive for function in functions] == [own, Exclusive(), None, None]


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: Exclusive(lease=timedelta(0)), "from 1 second to 12 hours"),
        (lambda: Exclusive(lease=timedelta(hours=13)), "from 1 second to 12 hours"),
        (lambda: Exclusive(lease=ANYTHING), "not 300"),
        (lambda: Exclusive(on_lost=ANYTHING), "OnLost.RERUN"),
        (lambda: Exchange("shop").queue("step", "inbox", Step, exclusive=ANYTHING), "'step'.*Exclusive"),
    ],
)
def test_what_makes_no_sense_cannot_be_declared(declare: Callable[[], object], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        declare()


def replay(shop: Shop, message: Message) -> None:
    shop.queue.publish([Outgoing(queue=INBOX, tenant_id=TENANT, message_id=message.id, body=encode(message))])


@pytest.mark.parametrize("action", JobAction)
def test_a_replayed_letter_of_a_message_that_was_given_up_runs_and_no_other_copy_does(
    shop: Shop, action: JobAction
) -> None:
    shop.declare(Exclusive(lease=LEASE, on_lost=OnLost.DEAD_LETTER))
    sent: list[Message] = []
    for payload in ("wanted", "unwanted"):
        sent += shop.send(payload)
        shop.step.during = dies
        shop.work_and_die()
    wanted = sent[0]
    shop.clock.advance(LEASE)
    shop.work()
    assert shop.letters() == ["LeaseRanOut"] * 2
    shop.step.calls.clear()
    letters = InMemoryDeadLetters(shop.queue)
    jobs = CarryOutDeadLetterJob(
        find=FindDeadLetters(letters, shop.queue),
        letters=letters,
        jobs=InMemoryDeadLetterJobs(),
        units=shop.units,
        clock=shop.clock,
        sleeper=VirtualSleeper(shop.clock),
        randomness=SeededRandomness(0),
    )
    only = LetterFilter(message_id=wanted.id)
    jobs.run(jobs.order(JobOrder(action=action, filter=only, by="anna")))
    shop.work()
    assert shop.done() == (["wanted"] if action is JobAction.REPLAY else [])
    replay(shop, wanted)  # by hand, past the job
    shop.work()
    assert shop.step.calls == shop.done()
    assert shop.letters() == ["LeaseRanOut"] * (1 if action is JobAction.REPLAY else 2)
