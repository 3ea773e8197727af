"""A worker: how it takes its work, gives back what it does not begin, and waits for more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    TransientError,
)
from api_exchange_core.application.processor_handler import never
from api_exchange_core.domain.delivery import Delivery, Settlement
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import BatchKeeper, Heartbeat
from api_exchange_core.local.worker import Patience, Worker, WorkerLimits
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.observer import Outcome
from api_exchange_testing import (
    InMemoryQueue,
    RecordingObserver,
    in_memory_container,
)

INBOX = QueueName("inbox")
CUSTOMER = TenantId("customer-a")
EAGER = WorkerLimits(poll=timedelta(milliseconds=1), after_error=timedelta(milliseconds=1))
FAR = timedelta(seconds=60)
SHORT = timedelta(milliseconds=30)
HEARTBEATS: list[Heartbeat] = []
SOON = 20.0  # seconds; far less than FAR, and far more than any machine needs


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    while HEARTBEATS:
        HEARTBEATS.pop().close()


class Step(ProcessorInterface):
    """Counts its calls, and does what its test says before it sends the message on."""

    def __init__(self, does: Callable[[], object] = int) -> None:
        self.does = does
        self.attempts: list[int] = []

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.attempts.append(context.attempt)
        self.does()
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("done"))
        return result


class Bench:
    """One function on memory adapters whose queue and store are one, as they are on one machine."""

    def __init__(self, step: Step) -> None:
        self.exchange = Exchange("shop", tenants=[CUSTOMER])
        self.function = self.exchange.queue("step", INBOX, step)
        self.observer = RecordingObserver()
        container = in_memory_container(self.exchange, observer=self.observer, one_store=True)
        self.clock, self.queue, self.use_cases = container.clock(), container.queue(), container.use_cases
        self.bell = Bell()
        self.heartbeat = Heartbeat(self.observer)
        HEARTBEATS.append(self.heartbeat)

    def send(self, count: int) -> None:
        for number in range(count):
            self.use_cases.sender().send(INBOX, {"n": number}, tenant_id=CUSTOMER)

    def depth(self, queue: str) -> int:
        return self.queue.depths().get(QueueName(queue), 0)

    @property
    def is_at_rest(self) -> bool:
        return self.depth(INBOX) == 0

    def worker(
        self,
        limits: WorkerLimits = EAGER,
        *,
        consumer: MessageConsumer | None = None,
        stopping: Callable[[], bool] = never,
        kind: type[Worker] = Worker,
    ) -> Worker:
        return kind(
            function=self.function,
            consumer=self.queue if consumer is None else consumer,
            handler=self.use_cases.handler(),
            clock=self.clock,
            observer=self.observer,
            bell=self.bell,
            limits=limits,
            heartbeat=self.heartbeat,
            stopping=stopping,
        )


class Breaks(MessageConsumer):
    """A consumer that raises what its test says before it works again."""

    def __init__(
        self, queue: InMemoryQueue, *, receiving: Iterator[Exception], settling: Iterator[Exception]
    ) -> None:
        self._queue = queue
        self._receiving = receiving
        self._settling = settling

    @override
    def receive(self, queue: QueueName, *, max_messages: int, visibility: timedelta) -> Sequence[Delivery]:
        for error in self._receiving:
            raise error
        return self._queue.receive(queue, max_messages=max_messages, visibility=visibility)

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        return self._queue.extend(deliveries, visibility=visibility)

    @override
    def settle(self, settlements: Sequence[Settlement]) -> None:
        for error in self._settling:
            raise error
        self._queue.settle(settlements)


# Batches


def test_it_works_off_a_queue_in_batches_that_are_full_until_the_last() -> None:
    bench = Bench(Step())
    bench.send(25)
    worker = bench.worker(replace(EAGER, batch=10))
    assert [worker.work_once() for _ in range(4)] == [10, 10, 5, 0]
    assert (bench.depth("inbox"), bench.depth("done")) == (0, 25)


def test_a_slow_processor_makes_small_batches_and_no_attempt_is_spent_on_what_is_given_back() -> None:
    step = Step(lambda: time.sleep(0.002))
    bench = Bench(step)
    bench.send(5)
    worker = bench.worker(replace(EAGER, patience=timedelta(milliseconds=1)))
    # The clock stands still: what is given back is there at once, and not after a visibility timeout.
    assert [worker.work_once() for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    assert step.attempts == [1] * 5
    outcomes = [summary.outcome for summary in bench.observer.summaries]
    assert outcomes.count(Outcome.COMPLETED) == 5
    assert outcomes.count(Outcome.GIVEN_BACK) == 4 + 3 + 2 + 1


def test_a_slow_batch_is_committed_as_far_as_it_has_come() -> None:
    bench = Bench(Step(lambda: time.sleep(0.002)))
    bench.send(3)
    bench.worker(replace(EAGER, patience=timedelta(0))).work_once()
    assert (bench.depth("inbox"), bench.depth("done")) == (2, 1)


def test_what_failed_for_now_waits_for_its_backoff_and_counts_its_attempts() -> None:
    failures = iter([TimeoutError(), TimeoutError()])

    def fail_twice() -> None:
        for error in failures:
            raise error

    step = Step(fail_twice)
    bench = Bench(step)
    bench.send(1)
    worker = bench.worker()
    assert [worker.work_once(), worker.work_once()] == [1, 0]
    while not bench.is_at_rest:
        bench.clock.advance(timedelta(minutes=30))
        worker.work_once()
    assert step.attempts == [1, 2, 3]


# Slow processors


class LosesWhatIsExtended(Breaks):
    """Tells that everything is somebody else's by now, and says when it has been asked."""

    asked = threading.Event()

    @override
    def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
        self.asked.set()
        return deliveries


def test_a_processor_slower_than_the_visibility_keeps_its_message() -> None:
    nearly_over, extended = threading.Event(), threading.Event()

    class Tells(Breaks):
        @override
        def extend(self, deliveries: Sequence[Delivery], *, visibility: timedelta) -> Sequence[Delivery]:
            counts = nearly_over.is_set()  # on a busy machine an earlier one may still be under way
            lost = super().extend(deliveries, visibility=visibility)
            if counts:
                extended.set()
            return lost

    def outlasts_its_visibility() -> None:
        bench.clock.advance(SHORT * 0.9)
        nearly_over.set()
        assert extended.wait(SOON)
        bench.clock.advance(SHORT * 0.9)
        seen.extend(bench.queue.receive(INBOX, max_messages=1, visibility=SHORT))

    seen: list[Delivery] = []
    bench = Bench(Step(outlasts_its_visibility))
    bench.send(1)
    consumer = Tells(bench.queue, receiving=iter([]), settling=iter([]))
    assert bench.worker(replace(EAGER, visibility=SHORT), consumer=consumer).work_once() == 1
    assert seen == []
    assert (bench.depth("inbox"), bench.depth("done")) == (0, 1)


@pytest.mark.parametrize("error", [None, PermanentError("late")])
def test_what_is_found_lost_while_it_runs_is_neither_committed_nor_recorded(error: Exception | None) -> None:
    def outlasts_its_claim() -> None:
        assert LosesWhatIsExtended.asked.wait(SOON)
        for _ in range(1_000):  # until the answer has arrived
            if any(keeper.has_lost(one) for keeper in keepers for one in keeper._deliveries):
                break
            time.sleep(0.001)
        if error is not None:
            raise error

    keepers: list[BatchKeeper] = []

    class Watched(Worker):
        @override
        def _keeper(self, deliveries: Sequence[Delivery]) -> BatchKeeper:
            keepers.append(super()._keeper(deliveries))
            return keepers[-1]

    LosesWhatIsExtended.asked.clear()
    bench = Bench(Step(outlasts_its_claim))
    bench.send(1)
    consumer = LosesWhatIsExtended(bench.queue, receiving=iter([]), settling=iter([]))
    worker = bench.worker(replace(EAGER, visibility=SHORT), consumer=consumer, kind=Watched)
    assert worker.work_once() == 1
    assert (bench.depth("inbox"), bench.depth("done"), bench.depth("inbox-dlq")) == (1, 0, 0)
    assert [event.name for event in bench.observer.events] == ["claim.lost"]


# Patience


def test_patience_begins_with_the_first_call_which_always_runs() -> None:
    patience = Patience(timedelta(0), never)
    assert not patience.is_over()
    time.sleep(0.001)
    assert patience.is_over()


def test_patience_that_lasts_lets_every_call_begin() -> None:
    patience = Patience(timedelta(hours=1), never)
    assert [patience.is_over() for _ in range(100)] == [False] * 100


def test_no_call_begins_once_the_process_is_to_stop() -> None:
    stop = threading.Event()
    patience = Patience(timedelta(hours=1), stop.is_set)
    assert not patience.is_over()
    stop.set()
    assert patience.is_over()


# Stopping


def test_stopping_finishes_what_is_in_hand_and_gives_back_the_rest_at_once() -> None:
    step = Step()
    bench = Bench(step)
    bench.send(5)
    bench.worker(stopping=lambda: len(step.attempts) == 2).run()
    assert bench.depth("done") == 2
    left = bench.queue.receive(INBOX, max_messages=10, visibility=timedelta(0))
    assert [delivery.receive_count for delivery in left] == [1, 1, 1]


def test_a_worker_that_is_told_to_stop_before_it_starts_takes_nothing() -> None:
    step = Step()
    bench = Bench(step)
    bench.send(1)
    bench.worker(stopping=lambda: True).run()
    assert step.attempts == []
    assert [message.receive_count for message in bench.queue.messages(INBOX)] == [0]


# Errors


def test_a_transport_that_cannot_be_reached_is_told_and_tried_again() -> None:
    bench = Bench(Step())
    bench.send(3)
    errors = iter([TransientError("no route"), TransientError("still no route")])
    consumer = Breaks(bench.queue, receiving=errors, settling=iter([]))
    bench.worker(consumer=consumer, stopping=lambda: bench.is_at_rest).run()
    assert bench.depth("done") == 3
    assert [(event.name, event.facts["function"]) for event in bench.observer.events] == [
        ("worker.error", "step"),
        ("worker.error", "step"),
    ]
    assert "still no route" in str(bench.observer.events[1].facts["reason"])


def test_what_could_not_be_settled_comes_back_after_its_visibility() -> None:
    results = iter([ProcessingResult.create_failure("the API is down")])

    class FailsOnce(Step):
        @override
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            return next(results, None) or super().process(message, context)

    bench = Bench(FailsOnce())
    bench.send(1)
    consumer = Breaks(bench.queue, receiving=iter([]), settling=iter([TransientError("no route")]))
    worker = bench.worker(consumer=consumer)
    with pytest.raises(TransientError):
        worker.work_once()
    assert worker.work_once() == 0
    bench.clock.advance(EAGER.visibility)
    assert worker.work_once() == 1
    assert bench.depth("done") == 1


def test_the_wait_after_an_error_is_not_cut_short_by_rings() -> None:
    bench = Bench(Step())
    bench.send(1)
    consumer = Breaks(bench.queue, receiving=iter([TransientError("no route")]), settling=iter([]))
    limits = replace(EAGER, after_error=timedelta(milliseconds=60))
    is_over = threading.Event()

    def keep_ringing() -> None:
        while not is_over.wait(0.001):
            bench.bell.ring()

    ringing = threading.Thread(target=keep_ringing)
    ringing.start()
    began = time.monotonic()
    bench.worker(limits, consumer=consumer, stopping=lambda: bench.is_at_rest).run()
    is_over.set()
    ringing.join()
    assert time.monotonic() - began >= 0.06


def test_a_stop_is_noticed_at_once_even_while_a_worker_waits_after_an_error() -> None:
    bench = Bench(Step())
    errors = (TransientError("no route") for _ in range(100))
    consumer = Breaks(bench.queue, receiving=errors, settling=iter([]))
    stop = threading.Event()
    worker = bench.worker(replace(EAGER, after_error=FAR), consumer=consumer, stopping=stop.is_set)
    thread = threading.Thread(target=worker.run)
    began = time.monotonic()
    thread.start()
    while not bench.observer.events and time.monotonic() - began < SOON:
        bench.bell.wait(bench.bell.rings, at_most=timedelta(milliseconds=5))
    stop.set()
    bench.bell.ring()
    thread.join()
    assert time.monotonic() - began < SOON
    assert len(bench.observer.events) == 1


# Waiting


def test_an_idle_worker_is_woken_by_the_bell_and_does_not_wait_for_its_poll() -> None:
    bench = Bench(Step())
    stop = threading.Event()
    thread = threading.Thread(target=bench.worker(replace(EAGER, poll=FAR), stopping=stop.is_set).run)
    began = time.monotonic()
    thread.start()
    try:
        bench.send(1)
        bench.bell.ring()
        while bench.depth("done") == 0 and time.monotonic() - began < SOON:
            bench.bell.wait(bench.bell.rings, at_most=timedelta(milliseconds=5))
    finally:
        stop.set()
        bench.bell.ring()
        thread.join()
    assert bench.depth("done") == 1
    assert time.monotonic() - began < SOON


def test_a_message_that_arrives_while_the_worker_looks_does_not_wait_for_the_poll() -> None:
    bench = Bench(Step())

    class ArrivesTooLate(Breaks):
        @override
        def receive(
            self, queue: QueueName, *, max_messages: int, visibility: timedelta
        ) -> Sequence[Delivery]:
            found = super().receive(queue, max_messages=max_messages, visibility=visibility)
            if bench.bell.rings == 0:
                bench.send(1)
                bench.bell.ring()
            return found

    consumer = ArrivesTooLate(bench.queue, receiving=iter([]), settling=iter([]))
    began = time.monotonic()
    bench.worker(replace(EAGER, poll=FAR), consumer=consumer, stopping=lambda: bench.depth("done") == 1).run()
    assert time.monotonic() - began < SOON


def test_an_idle_worker_looks_once_a_poll_and_does_not_spin() -> None:
    bench = Bench(Step())
    looks: list[QueueName] = []

    class Counts(Breaks):
        @override
        def receive(
            self, queue: QueueName, *, max_messages: int, visibility: timedelta
        ) -> Sequence[Delivery]:
            looks.append(queue)
            return super().receive(queue, max_messages=max_messages, visibility=visibility)

    consumer = Counts(bench.queue, receiving=iter([]), settling=iter([]))
    began = time.monotonic()
    limits = replace(EAGER, poll=timedelta(milliseconds=4))
    bench.worker(limits, consumer=consumer, stopping=lambda: len(looks) == 5).run()
    assert time.monotonic() - began >= 5 * 0.003


def test_messages_of_other_processes_are_found_without_a_bell() -> None:
    bench = Bench(Step())
    looks = iter([False, False, True])

    class Elsewhere(Breaks):
        @override
        def receive(
            self, queue: QueueName, *, max_messages: int, visibility: timedelta
        ) -> Sequence[Delivery]:
            if next(looks, False):
                bench.send(1)
            return super().receive(queue, max_messages=max_messages, visibility=visibility)

    consumer = Elsewhere(bench.queue, receiving=iter([]), settling=iter([]))
    bench.worker(consumer=consumer, stopping=lambda: bench.depth("done") == 1).run()
    assert bench.depth("done") == 1


def test_a_worker_that_has_worked_rings_for_those_it_sent_to() -> None:
    bench = Bench(Step())
    bench.send(1)
    bench.worker(stopping=lambda: bench.bell.rings > 0).run()
    assert bench.depth("done") == 1


# The bell


def test_who_has_heard_every_ring_waits_until_the_time_is_up() -> None:
    bell = Bell()
    bell.ring()
    began = time.monotonic()
    bell.wait(bell.rings, at_most=timedelta(milliseconds=5))
    assert time.monotonic() - began >= 0.004


def test_a_ring_between_looking_and_waiting_is_not_lost() -> None:
    bell = Bell()
    heard = bell.rings
    bell.ring()
    began = time.monotonic()
    bell.wait(heard, at_most=FAR)
    assert time.monotonic() - began < SOON


def test_one_ring_wakes_all_who_wait() -> None:
    bell = Bell()
    heard = bell.rings
    threads = [threading.Thread(target=bell.wait, args=(heard,), kwargs={"at_most": FAR}) for _ in range(8)]
    for thread in threads:
        thread.start()
    bell.ring()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < SOON
