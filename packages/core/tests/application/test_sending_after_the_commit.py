"""The outbox and its relay: what is committed is sent, whatever breaks in between, and takes effect once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from dependency_injector import providers
from typing_extensions import override

from api_exchange_core import (
    Exchange,
    FileOutputHandler,
    Message,
    OutputHandler,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    TransientError,
    tenant_context,
)
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.observer import Outcome
from api_exchange_core.ports.outbox import OutboxBacklog, OutboxRelaySource, OutboxRow, OutgoingLine
from api_exchange_testing import (
    InMemoryFileSink,
    InMemoryQueue,
    InMemoryStore,
    InMemoryTenantDirectory,
    InMemoryUnitOfWorkFactory,
    RecordingObserver,
    SeededRandomness,
    VirtualClock,
)
from api_exchange_testing.memory.outbox import DUE_AFTER
from api_exchange_testing.memory.token_store import InMemoryTokenStore

CUSTOMER = TenantId("customer-a")
NEIGHBOUR = TenantId("customer-b")
INBOX = QueueName("inbox")
NEXT = QueueName("next")
VISIBILITY = timedelta(minutes=5)
LEASE = timedelta(seconds=60)
QUEUE_AND_FILE = (QueueOutputHandler("next"), FileOutputHandler("passed.jsonl"))


class Killed(BaseException):
    """The process ends here; nobody catches it."""


class Transport(MessagePublisher):
    """Queues that can be made to fail as transports do; remembers what reached them, call by call."""

    def __init__(self, queue: InMemoryQueue) -> None:
        self._queue = queue
        self.calls: list[list[MessageId]] = []
        self.down = False
        self.refused: set[str] = set()
        self.up_for = -1

    @property
    def sent(self) -> list[MessageId]:
        return [message_id for call in self.calls for message_id in call]

    @override
    def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.down or self.up_for == len(self.calls):
            raise TransientError("no route")
        refused = [message.message_id for message in messages if message.message_id in self.refused]
        if refused:
            raise PermanentError(f"messages {refused} can never be sent")
        self._queue.publish(messages)
        self.calls.append([message.message_id for message in messages])


class DiesBeforeTakingOff(OutboxRelaySource):
    """An outbox whose user is killed as it takes its first rows off."""

    def __init__(self, source: OutboxRelaySource) -> None:
        self._source = source
        self._alive = False

    @override
    def claim(self, *, now: datetime, limit: int, lease: timedelta) -> Sequence[OutboxRow]:
        return self._source.claim(now=now, limit=limit, lease=lease)

    @override
    def sent(self, ids: Sequence[int]) -> None:
        if not self._alive:
            self._alive = True
            raise Killed
        self._source.sent(ids)

    @override
    def postpone(self, ids: Sequence[int], *, until: datetime) -> None:
        self._source.postpone(ids, until=until)

    @override
    def backlog(self, *, now: datetime) -> OutboxBacklog:
        return self._source.backlog(now=now)

    @override
    def pending(self) -> int:
        return self._source.pending()


class Pass(ProcessorInterface):
    """Passes on what came in."""

    def __init__(self, outputs: Sequence[OutputHandler]) -> None:
        self._outputs = outputs

    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        for output in self._outputs:
            result.add_output_handler(output)
        return result


class Keep(ProcessorInterface):
    @override
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(
            external_id="1", canonical_type="order", source="shop", data={"after": message.causation_id}
        )
        return ProcessingResult.create_success()


class Bench:
    """Two functions in a row, on memory adapters whose queues are apart from the store."""

    def __init__(
        self,
        outputs: Sequence[OutputHandler] = (QueueOutputHandler("next"),),
        *,
        dies_before_taking_off: bool = False,
    ) -> None:
        self.exchange = Exchange("shop", tenants=[CUSTOMER, NEIGHBOUR])
        self.exchange.queue("pass", INBOX, Pass(outputs))
        self.exchange.queue("keep", NEXT, Keep)
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.queue = InMemoryQueue(self.clock)
        self.transport = Transport(self.queue)
        self.files = InMemoryFileSink()
        self.observer = RecordingObserver()
        store = InMemoryStore()
        self.source: OutboxRelaySource = store.relay_source
        if dies_before_taking_off:
            self.source = DiesBeforeTakingOff(self.source)
        tenants = InMemoryTenantDirectory()
        tenants.add(self.exchange.tenants, now=self.clock.now())
        self.units = InMemoryUnitOfWorkFactory(store)
        self.use_cases = UseCases(
            exchange=providers.Object(self.exchange),
            clock=providers.Object(self.clock),
            token_store=providers.Object(InMemoryTokenStore(self.clock)),
            randomness=providers.Object(SeededRandomness(0)),
            observer=providers.Object(self.observer),
            units=providers.Object(self.units),
            tenants=providers.Object(tenants),
            publisher=providers.Object(self.transport),
            files=providers.Object(self.files),
            outbox=providers.Object(self.source),
        )

    def send(self) -> None:
        self.use_cases.sender().send(INBOX, {"n": 1}, tenant_id=CUSTOMER)
        self.transport.calls.clear()

    def work(self, function: str) -> list[Outcome]:
        """Handle what is visible in a function's queue; how each message ended."""
        told = len(self.observer.summaries)
        queue = self.exchange.function(function).input_queue
        deliveries = self.queue.receive(queue, max_messages=100, visibility=VISIBILITY)
        self.queue.settle(self.use_cases.handler().handle(self.exchange.function(function), deliveries))
        return [summary.outcome for summary in self.observer.summaries[told:]]

    def put(self, *effects: Outgoing | OutgoingLine) -> None:
        """Commit effects that nobody carries out, and let the time pass until they are due."""
        with self.units.begin(CUSTOMER) as unit:
            unit.outbox.add(effects, now=self.clock.now())
            unit.commit()
        self.clock.advance(DUE_AFTER)

    def relay(self, *, batch: int = 100) -> OutboxRelay:
        return OutboxRelay(
            self.source, self.transport, self.files, self.clock, self.observer, batch=batch, lease=LEASE
        )

    def versions(self) -> int:
        with tenant_context(CUSTOMER):
            head = self.use_cases.entity_service().head(
                external_id="1", canonical_type="order", source="shop"
            )
        return 0 if head is None else head.version

    def stuck(self) -> list[object]:
        return [event.facts["outbox_id"] for event in self.observer.events if event.name == "outbox.stuck"]


def message(name: str, *, ordering_key: str | None = None) -> Outgoing:
    return Outgoing(
        queue=NEXT,
        tenant_id=CUSTOMER,
        message_id=MessageId(name),
        body=name.encode(),
        ordering_key=ordering_key,
    )


def line(text: str, *, name: str = "out.jsonl", tenant_id: TenantId = CUSTOMER) -> OutgoingLine:
    return OutgoingLine(tenant_id=tenant_id, name=name, line=text.encode())


# What breaks between the commit and the sending


def test_what_could_not_be_sent_after_the_commit_is_sent_later_and_takes_effect_once() -> None:
    bench = Bench()
    bench.send()
    bench.transport.down = True
    assert bench.work("pass") == [Outcome.COMPLETED]
    assert [event.name for event in bench.observer.events] == ["outbox.left_to_relay"]
    assert bench.source.pending() == 1
    bench.transport.down = False
    assert bench.relay().sweep() == 0  # not due: whoever committed it may still be at it
    bench.clock.advance(DUE_AFTER)
    assert bench.relay().sweep() == 1
    assert bench.source.pending() == 0
    assert bench.work("keep") == [Outcome.COMPLETED]
    assert bench.versions() == 1
    bench.clock.advance(VISIBILITY)
    assert (bench.work("pass"), bench.work("keep")) == ([], [])


def test_a_sweep_that_fails_leaves_its_rows_and_they_come_up_after_the_lease() -> None:
    bench = Bench()
    bench.send()
    bench.transport.down = True
    bench.work("pass")
    bench.clock.advance(DUE_AFTER)
    with pytest.raises(TransientError):
        bench.relay().sweep()
    bench.transport.down = False
    assert bench.relay().sweep() == 0
    bench.clock.advance(LEASE)
    assert bench.relay().sweep() == 1
    assert len(bench.transport.sent) == 1


def test_a_process_killed_between_sending_and_taking_off_sends_twice_and_it_takes_effect_once() -> None:
    bench = Bench(QUEUE_AND_FILE, dies_before_taking_off=True)
    bench.send()
    with pytest.raises(Killed):
        bench.work("pass")
    assert bench.work("keep") == [Outcome.COMPLETED]
    bench.clock.advance(VISIBILITY)  # the killed process has settled nothing either
    assert bench.work("pass") == [Outcome.DUPLICATE]
    assert bench.relay().sweep() == 2
    assert len(bench.transport.sent) == 2
    assert len(set(bench.transport.sent)) == 1
    assert bench.work("keep") == [Outcome.DUPLICATE]
    assert bench.versions() == 1
    lines = bench.files.lines(CUSTOMER, "passed.jsonl")
    assert len(lines) == 2
    assert len({decode(each).id for each in lines}) == 1


# What can never be sent


@pytest.mark.parametrize("stuck", [message("stuck"), line("stuck", name="../../etc/passwd")])
def test_a_row_that_can_never_be_sent_is_told_and_stays_and_holds_up_no_other(
    stuck: Outgoing | OutgoingLine,
) -> None:
    bench = Bench()
    bench.transport.refused = {"stuck"}
    bench.put(message("first"), line("first"), stuck, message("last"), line("last"))
    assert bench.relay().sweep() == 5
    assert set(bench.transport.sent) == {"first", "last"}
    assert set(bench.files.lines(CUSTOMER, "out.jsonl")) == {b"first", b"last"}
    assert bench.source.pending() == 1
    assert bench.stuck() == [3]


def test_a_row_that_can_never_be_sent_is_put_off_for_longer_each_time_until_someone_mends_it() -> None:
    bench = Bench()
    bench.transport.refused = {"stuck"}
    bench.put(message("stuck"))
    bench.relay().sweep()
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        bench.clock.advance(timedelta(minutes=minutes, seconds=-1))
        assert bench.relay().sweep() == 0
        bench.clock.advance(timedelta(seconds=1))
        assert bench.relay().sweep() == 1
    told = [event.facts for event in bench.observer.events]
    assert [facts["attempts"] for facts in told] == list(range(1, 10))
    assert [facts["again_in"] for facts in told][-2:] == [3600, 3600]
    assert bench.source.backlog(now=bench.clock.now()).stuck == 1
    bench.transport.refused = set()
    bench.clock.advance(timedelta(hours=1))
    bench.relay().sweep()
    assert bench.transport.sent == ["stuck"]
    assert bench.source.pending() == 0


def test_a_row_that_was_tried_a_thousand_times_is_still_put_off_for_an_hour() -> None:
    bench = Bench()
    bench.transport.refused = {"stuck"}
    bench.put(message("stuck"))
    for _ in range(1_000):
        bench.source.postpone([1], until=bench.clock.now())
    bench.relay().sweep()
    bench.clock.advance(timedelta(hours=1))
    assert bench.relay().sweep() == 1


def test_more_stuck_rows_than_a_batch_holds_do_not_hide_those_behind_them() -> None:
    bench = Bench()
    bench.transport.refused = {"stuck-1", "stuck-2", "stuck-3"}
    bench.put(*map(message, ["stuck-1", "stuck-2", "stuck-3", "sound-1", "sound-2"]))
    relay = bench.relay(batch=2)
    assert [relay.sweep() for _ in range(4)] == [2, 2, 1, 0]
    assert bench.transport.sent == ["sound-1", "sound-2"]


def test_an_output_that_can_never_be_sent_does_not_undo_the_message_that_made_it() -> None:
    bench = Bench(QUEUE_AND_FILE)
    bench.send()
    bench.work("pass")
    [child] = bench.transport.sent
    other = Bench(QUEUE_AND_FILE)
    other.transport.refused = {child}
    other.send()
    assert other.work("pass") == [Outcome.COMPLETED]
    assert other.queue.depths() == {}
    assert len(other.stuck()) == 1
    assert len(other.files.lines(CUSTOMER, "passed.jsonl")) == 1


def test_where_the_transport_fails_among_rows_that_go_one_by_one_only_the_unsent_stay() -> None:
    bench = Bench()
    bench.transport.refused = {"stuck"}
    bench.transport.up_for = 1
    bench.put(*map(message, ["stuck", "sent", "unsent"]))
    with pytest.raises(TransientError):
        bench.relay().sweep()
    assert bench.source.pending() == 2
    bench.transport.up_for = -1
    bench.clock.advance(LEASE)
    bench.relay().sweep()
    assert bench.transport.sent == ["sent", "unsent"]


# Batches and order


def test_messages_of_a_batch_go_in_one_call_and_lines_file_by_file_in_their_order() -> None:
    bench = Bench()
    bench.put(
        line("a1"),
        message("m1"),
        line("b1", tenant_id=NEIGHBOUR),
        line("a2"),
        message("m2"),
        line("other", name="other.jsonl"),
        line("a3"),
        line("b2", tenant_id=NEIGHBOUR),
    )
    bench.relay().sweep()
    assert bench.transport.calls == [["m1", "m2"]]
    assert bench.files.lines(CUSTOMER, "out.jsonl") == [b"a1", b"a2", b"a3"]
    assert bench.files.lines(CUSTOMER, "other.jsonl") == [b"other"]
    assert bench.files.lines(NEIGHBOUR, "out.jsonl") == [b"b1", b"b2"]


def test_lines_of_a_file_keep_their_order_over_many_batches() -> None:
    bench = Bench()
    bench.put(*(line(str(number)) for number in range(25)))
    relay = bench.relay(batch=4)
    while relay.sweep():
        pass
    assert bench.files.lines(CUSTOMER, "out.jsonl") == [str(number).encode() for number in range(25)]


def test_messages_with_an_ordering_key_are_not_sent_past_one_that_another_relay_holds() -> None:
    bench = Bench()
    bench.put(*(message(str(number), ordering_key="order-1") for number in range(3)), message("free"))
    bench.source.claim(now=bench.clock.now(), limit=1, lease=LEASE)  # a relay that is killed
    bench.relay().sweep()
    assert bench.transport.sent == ["free"]
    bench.clock.advance(LEASE)
    bench.relay().sweep()
    assert bench.transport.sent == ["free", "0", "1", "2"]


def test_nothing_due_is_nothing_done() -> None:
    bench = Bench()
    assert bench.relay().sweep() == 0
    assert bench.transport.calls == []


# Several relays


def test_relays_that_sweep_at_once_send_each_row_once() -> None:
    bench = Bench()
    bench.put(*(message(str(number)) for number in range(300)))

    def sweep_until_nothing_is_due(_: int) -> None:
        relay = bench.relay(batch=7)
        while relay.sweep():
            pass

    with ThreadPoolExecutor(8) as relays:
        list(relays.map(sweep_until_nothing_is_due, range(8)))
    assert Counter(bench.transport.sent) == Counter(str(number) for number in range(300))
    assert bench.source.pending() == 0


def test_rows_of_a_relay_that_was_killed_are_for_nobody_until_its_lease_is_over() -> None:
    bench = Bench()
    bench.put(message("m"))
    bench.source.claim(now=bench.clock.now(), limit=100, lease=LEASE)  # and then it is killed
    bench.clock.advance(LEASE - timedelta(microseconds=1))
    assert bench.relay().sweep() == 0
    bench.clock.advance(timedelta(microseconds=1))
    assert bench.relay().sweep() == 1
    assert bench.transport.sent == ["m"]
