"""Sources: extracted page by page, by one message at a time, and what becomes of runs that stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_exchange_core import (
    DeclarationError,
    DeferError,
    Exchange,
    Message,
    Page,
    PageRequest,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
    Schedule,
)
from api_exchange_core.domain.checkpoint import MARKS, Checkpoint
from api_exchange_core.domain.deadline import Deadline
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_testing import Harness, in_memory_container
from api_exchange_testing.memory.unit_of_work import InMemoryUnitOfWorkFactory

TENANT = TenantId("customer-a")
FETCH = QueueName("fetch-orders")


@dataclass
class Api:
    """Numbered orders, two a page; the cursor is the number of the next one."""

    orders: int
    size: int = 2
    asked: list[object] = field(default_factory=list)
    before: Callable[[PageRequest], None] = lambda _: None
    answer: Callable[[PageRequest], Page[int]] | None = None

    def fetch(self, request: PageRequest) -> Page[int]:
        self.asked.append(request.cursor)
        self.before(request)
        if self.answer is not None:
            return self.answer(request)
        start = request.cursor if isinstance(request.cursor, int) else 0
        end = min(start + self.size, self.orders)
        return Page(range(start, end), next_cursor=end if end < self.orders else None)


@dataclass
class FetchOrders(ProcessorInterface):
    api: Api
    pages_per_message: int = 1
    margin: timedelta = timedelta(seconds=30)

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        source = context.source("orders", pages_per_message=self.pages_per_message, margin=self.margin)
        for page in source.pages(self.api.fetch):
            for number in page:
                context.persist_entity(
                    external_id=number, canonical_type="order", source="shop", data={"number": number}
                )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders"))
        return result


@dataclass
class FetchOrdersAsync(ProcessorInterface):
    api: Api
    pages_per_message: int = 1

    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        async def fetch(request: PageRequest) -> Page[int]:
            return self.api.fetch(request)

        source = context.source("orders", pages_per_message=self.pages_per_message)
        async for page in source.pages(fetch):
            for number in page:
                context.persist_entity(
                    external_id=number, canonical_type="order", source="shop", data={"number": number}
                )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders"))
        return result


def harness_of(processor: ProcessorInterface, *, attempts: int = 3) -> Harness:
    exchange = Exchange("shop", tenants=[TENANT])
    exchange.timer(FETCH, Schedule.every(minutes=5), processor, retry=RetryPolicy(max_attempts=attempts))
    return Harness(exchange)


def tick(harness: Harness) -> None:
    harness.tick(FETCH)


def tick_after(harness: Harness, time: timedelta) -> None:
    harness.clock.advance(time)
    tick(harness)
    harness.run()


def step(harness: Harness) -> int:
    """Handle what is in the function's queue now, and nothing that comes of it."""
    return harness._work_once(harness.exchange.function(FETCH), at_most=1)  # a run goes on to rest


def numbers(harness: Harness) -> list[object]:
    return [message.payload["number"] for message in harness.queue("orders")]  # type: ignore[index,call-overload] # a dict


def stored(harness: Harness, source: str = "orders") -> Checkpoint:
    with InMemoryUnitOfWorkFactory(harness.store).begin(TENANT) as unit:
        checkpoint = unit.checkpoints.get(source)
    assert checkpoint is not None
    return checkpoint


def outcomes(harness: Harness) -> list[str]:
    return [str(handled.outcome) for handled in harness.handled]


@pytest.mark.parametrize("kind", [FetchOrders, FetchOrdersAsync])
def test_each_page_is_a_message_and_every_order_comes_once(
    kind: Callable[[Api], ProcessorInterface],
) -> None:
    api = Api(orders=7)
    harness = harness_of(kind(api))
    tick(harness)
    harness.run()
    assert numbers(harness) == list(range(7))
    assert api.asked == [None, 2, 4, 6]
    assert outcomes(harness) == ["completed"] * 4
    run = stored(harness).run
    assert run is not None
    assert (run.pages, run.records) == (4, 7)
    assert run.finished_at is not None


def test_a_run_without_records_ends_at_once_and_sends_nothing() -> None:
    harness = harness_of(FetchOrders(Api(orders=0)))
    tick(harness)
    harness.run()
    assert numbers(harness) == []
    assert outcomes(harness) == ["completed"]


def test_the_next_run_begins_anew_and_makes_no_versions_of_what_is_the_same() -> None:
    api = Api(orders=3)
    harness = harness_of(FetchOrders(api))
    for _ in range(2):
        tick(harness)
        harness.run()
        harness.clock.advance(timedelta(minutes=5))
    assert api.asked == [None, 2, None, 2]
    assert numbers(harness) == [0, 1, 2]


def test_several_pages_may_be_taken_in_one_message() -> None:
    api = Api(orders=10)
    harness = harness_of(FetchOrders(api, pages_per_message=3))
    tick(harness)
    harness.run()
    assert api.asked == [None, 2, 4, 6, 8]
    assert outcomes(harness) == ["completed"] * 2
    assert numbers(harness) == list(range(10))


def test_a_call_that_fails_asks_for_its_page_again_and_for_no_other() -> None:
    failures = iter([False, True, False, True, True, False])

    def before(_: PageRequest) -> None:
        if next(failures, False):
            raise RetryableError("busy")

    api = Api(orders=5, before=before)
    harness = harness_of(FetchOrders(api))
    tick(harness)
    harness.run()
    assert api.asked == [None, 2, 2, 4, 4, 4]
    assert numbers(harness) == list(range(5))


@pytest.mark.parametrize("kind", [FetchOrders, FetchOrdersAsync])
def test_pages_that_were_taken_before_the_api_asks_for_a_wait_are_kept(
    kind: Callable[..., ProcessorInterface],
) -> None:
    """The API lets two requests a minute through. Were the two given up with the third, no call would ever be done."""
    passed: list[datetime] = []

    def before(_: PageRequest) -> None:
        now = harness.clock.now()
        if len([at for at in passed if now - at < timedelta(minutes=1)]) == 2:
            raise DeferError("two a minute", delay=timedelta(minutes=1))
        passed.append(now)

    api = Api(orders=10, before=before)
    harness = harness_of(kind(api, pages_per_message=5))
    tick(harness)
    harness.run()
    assert len(passed) == 5
    assert numbers(harness) == list(range(10))
    assert harness.dead_letters() == []


def test_a_tick_that_comes_while_a_run_is_under_way_begins_no_second_one() -> None:
    api = Api(orders=9)
    harness = harness_of(FetchOrders(api))
    api.before = lambda request: tick(harness) if request.number == 2 else None
    tick(harness)
    harness.clock.advance(timedelta(seconds=1))
    harness.run()
    assert api.asked == [None, 2, 4, 6, 8]
    assert numbers(harness) == list(range(9))
    assert outcomes(harness) == ["completed"] * 6


def test_a_run_whose_message_was_given_up_is_taken_over_where_it_stands() -> None:
    broken = [True]

    def before(request: PageRequest) -> None:
        if request.number == 3 and broken[0]:
            raise PermanentError("the API has nothing of the kind")

    api = Api(orders=8, before=before)
    harness = harness_of(FetchOrders(api))
    tick(harness)
    harness.run()
    broken[0] = False
    tick_after(harness, timedelta(minutes=9))
    assert api.asked == [None, 2, 4]
    tick_after(harness, timedelta(minutes=2))
    assert api.asked == [None, 2, 4, 4, 6]
    assert numbers(harness) == list(range(8))
    first_run = stored(harness).run
    assert first_run is not None
    assert first_run.pages == 4


def test_a_message_whose_run_was_taken_over_does_nothing_when_it_comes_at_last() -> None:
    api = Api(orders=6)
    harness = harness_of(FetchOrders(api))
    tick(harness)
    assert step(harness) == 1
    late = harness.queues.receive(FETCH, max_messages=1, visibility=timedelta(hours=1))
    tick_after(harness, timedelta(minutes=11))
    assert numbers(harness) == list(range(6))
    harness.run()  # the hour is over, and the message comes back
    assert len(late) == 1
    assert api.asked == [None, 2, 4]
    assert numbers(harness) == list(range(6))
    assert outcomes(harness) == ["completed"] * 4


def test_a_runner_that_was_taken_over_while_it_asked_writes_nothing() -> None:
    """The zombie: its page takes so long that a tick takes the run over, and finishes it, before it can commit."""
    api = Api(orders=6)
    harness = harness_of(FetchOrders(api))

    def before(request: PageRequest) -> None:
        if request.number == 2 and len(api.asked) == 2:
            tick_after(harness, timedelta(minutes=11))

    api.before = before
    tick(harness)
    harness.run()
    assert api.asked == [None, 2, 2, 4]
    assert sorted(map(str, numbers(harness))) == sorted(map(str, range(6)))
    assert [len(harness.versions("order", str(number))) for number in range(6)] == [1] * 6


def test_a_paging_that_leads_in_a_circle_ends_and_loses_nothing() -> None:
    steps = {None: "a", "a": "b", "b": "c", "c": "d", "d": "b"}
    api = Api(orders=0)
    api.answer = lambda request: Page([len(api.asked)], next_cursor=steps[request.cursor])  # type: ignore[index] # texts
    harness = harness_of(FetchOrders(api))
    tick(harness)
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert "goes on where it has been" in failure.reason
    assert len(api.asked) < 12
    assert numbers(harness) == list(range(1, len(api.asked)))
    assert stored(harness).is_running


@given(tail=st.integers(0, 20), circle=st.integers(1, 20))
def test_every_circle_is_noticed(tail: int, circle: int) -> None:
    def following(cursor: object) -> int:
        number = cursor if isinstance(cursor, int) else 0
        return number + 1 if number < tail + circle else tail + 1

    api = Api(orders=0)
    api.answer = lambda request: Page([], next_cursor=following(request.cursor))
    harness = harness_of(FetchOrders(api))
    tick(harness)
    harness.run(max_messages=400)
    assert len(harness.dead_letters()) == 1


def test_a_cursor_that_is_too_large_is_refused() -> None:
    api = Api(orders=0)
    api.answer = lambda _: Page([1], next_cursor="x" * 20_000)
    harness = harness_of(FetchOrders(api))
    tick(harness)
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert "20,002 bytes" in failure.reason
    assert numbers(harness) == []


def test_a_place_in_a_stream_of_changes_is_where_the_next_run_begins() -> None:
    api = Api(orders=0)
    api.answer = lambda _: Page([len(api.asked)], resume_at={"offset": len(api.asked)})
    harness = harness_of(FetchOrders(api))
    for _ in range(3):
        tick_after(harness, timedelta(minutes=5))
    assert api.asked == [None, {"offset": 1}, {"offset": 2}]
    assert numbers(harness) == [1, 2, 3]


def test_near_the_deadline_no_further_page_is_begun() -> None:
    api = Api(orders=20)
    exchange = Exchange("shop", tenants=[TENANT])
    function = exchange.timer(FETCH, Schedule.every(minutes=5), FetchOrders(api, pages_per_message=100))
    container = in_memory_container(exchange)
    container.use_cases.fan_out().fan_out(function, container.clock().now())
    api.before = lambda _: container.clock().advance(timedelta(seconds=20))
    deliveries = container.queue().receive(FETCH, max_messages=1, visibility=timedelta(minutes=5))
    deadline = Deadline(container.clock().now() + timedelta(seconds=80))
    container.use_cases.handler().handle(function, deliveries, deadline=deadline)
    assert api.asked == [None, 2, 4]
    container.use_cases.handler().handle(
        function,
        container.queue().receive(FETCH, max_messages=1, visibility=timedelta(minutes=5)),
        deadline=Deadline(is_called_off=lambda: True),
    )
    assert api.asked == [None, 2, 4, 6]


def test_a_loop_that_is_broken_off_has_taken_the_page_it_was_in() -> None:
    class FirstOnly(FetchOrders):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            for page in context.source("orders", pages_per_message=9).pages(self.api.fetch):
                for number in page:
                    context.persist_entity(
                        external_id=number, canonical_type="order", source="shop", data={"number": number}
                    )
                break
            result = ProcessingResult.create_success()
            result.add_output_handler(QueueOutputHandler("orders"))
            return result

    api = Api(orders=5)
    harness = harness_of(FirstOnly(api))
    tick(harness)
    harness.run()
    assert api.asked == [None, 2, 4]
    assert numbers(harness) == list(range(5))


def test_the_messages_of_a_run_keep_the_payload_and_what_they_send_does_not_carry_the_run() -> None:
    seen: list[object] = []

    class Noting(FetchOrders):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            seen.append((message.payload, bool(MARKS & set(message.metadata))))
            return super().process(message, context)

    harness = harness_of(Noting(Api(orders=5)))
    harness.send(FETCH, {"shop": "Köln"})
    harness.run()
    assert seen == [({"shop": "Köln"}, False), ({"shop": "Köln"}, True), ({"shop": "Köln"}, True)]
    sent = harness.queue("orders")
    assert [dict(message.metadata) for message in sent] == [{}] * 5
    assert len({message.correlation_id for message in sent}) == 1


def test_two_tenants_have_runs_of_their_own() -> None:
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    exchange.timer(FETCH, Schedule.every(minutes=5), FetchOrders(Api(orders=3)))
    harness = Harness(exchange)
    tick(harness)
    harness.run()
    by_tenant = [(message.tenant_id, message.payload["number"]) for message in harness.queue("orders")]  # type: ignore[index,call-overload] # a dict
    assert sorted(map(repr, by_tenant)) == sorted(
        repr((tenant, number)) for tenant in ("customer-a", "customer-b") for number in range(3)
    )


def test_two_sources_of_a_function_go_on_each_by_itself() -> None:
    orders, returns = Api(orders=5), Api(orders=3)

    class Both(ProcessorInterface):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            for name, api in (("orders", orders), ("returns", returns)):
                for page in context.source(name).pages(api.fetch):
                    for number in page:
                        context.persist_entity(
                            external_id=number, canonical_type=name, source="shop", data={"number": number}
                        )
            return ProcessingResult.create_success()

    harness = harness_of(Both())
    tick(harness)
    harness.run()
    assert (orders.asked, returns.asked) == ([None, 2, 4], [None, 2])
    assert outcomes(harness) == ["completed"] * 4


def test_a_source_is_looped_over_once_in_a_call() -> None:
    class Twice(ProcessorInterface):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            for _ in range(2):
                list(context.source("orders").pages(Api(orders=1).fetch))
            return ProcessingResult.create_success()

    harness = harness_of(Twice())
    tick(harness)
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert "extracted twice" in failure.reason


def test_an_async_fetch_needs_an_async_loop() -> None:
    async def fetch(_: PageRequest) -> Page[int]:
        return Page([])

    class Wrong(ProcessorInterface):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            list(context.source("orders").pages(fetch))
            return ProcessingResult.create_success()

    harness = harness_of(Wrong())
    tick(harness)
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert "async for" in failure.reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a@b"},
        {"name": "x" * 129},
        {"lease": timedelta(seconds=1)},
        {"lease": timedelta(days=8)},
        {"pages_per_message": 0},
        {"pages_per_message": 1_001},
        {"margin": timedelta(seconds=-1)},
    ],
)
def test_a_source_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    class Wrong(ProcessorInterface):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            context.source(**({"name": "orders"} | wrong))
            return ProcessingResult.create_success()

    harness = harness_of(Wrong())
    tick(harness)
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert failure.code == "DeclarationError"


def test_what_no_page_is_ends_as_a_dead_letter() -> None:
    api = Api(orders=0)
    api.answer = lambda _: ["order"]  # type: ignore[assignment,return-value] # what it must not do
    harness = harness_of(FetchOrders(api))
    tick(harness)
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert "not a list" in failure.reason


def test_a_page_cannot_be_the_last_and_not_the_last() -> None:
    with pytest.raises(DeclarationError, match="not both"):
        Page([], next_cursor=1, resume_at=2)


def test_a_checkpoint_kept_by_hand_is_saved_with_what_the_call_persists() -> None:
    class ByHand(ProcessorInterface):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            place = context.checkpoint("stock")
            count = place.cursor if isinstance(place.cursor, int) else 0
            context.persist_entity(
                external_id=count, canonical_type="order", source="shop", data={"number": count}
            )
            place.save(count + 1)
            if message.payload == "fails":
                raise PermanentError("not this one")
            result = ProcessingResult.create_success()
            result.add_output_handler(QueueOutputHandler("orders"))
            return result

    harness = harness_of(ByHand())
    # All in one batch: each has read the same, so each but the first is called again.
    for payload in ("", "", "fails", ""):
        harness.send(FETCH, payload)
    harness.run()
    assert numbers(harness) == [0, 1, 2]
    assert (stored(harness, "stock").cursor, stored(harness, "stock").version) == (3, 3)


@pytest.mark.parametrize("saved_first", [True, False])
def test_a_source_that_a_call_extracts_is_not_kept_by_hand_in_the_same_call(saved_first: bool) -> None:
    class Both(ProcessorInterface):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            if saved_first:
                context.checkpoint("orders").save(7)
            for _ in context.source("orders").pages(api.fetch):
                pass
            context.checkpoint("orders").save(7)
            return ProcessingResult.create_success()

    api = Api(orders=5)
    harness = harness_of(Both())
    tick(harness)
    harness.run()
    ((_, failure),) = harness.dead_letters()
    assert "'orders'" in failure.reason
    assert "give it another name" in failure.reason


def test_a_child_does_not_belong_to_the_run_though_its_metadata_are_copied_from_the_message() -> None:
    class Copies(ProcessorInterface):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            result = ProcessingResult.create_success()
            for page in context.source("orders").pages(Api(orders=4).fetch):
                for number in page:
                    result.add_output_message({"number": number}, metadata={**message.metadata, "shop": "x"})
            if result.output_messages:
                result.add_output_handler(QueueOutputHandler("orders"))
            return result

    harness = harness_of(Copies())
    tick(harness)
    harness.run()
    sent = harness.queue("orders")
    assert [set(message.metadata) & MARKS for message in sent] == [set()] * 4
    assert sent[3].metadata["shop"] == "x"


def test_a_call_that_comes_to_its_source_after_its_message_is_done_begins_no_run() -> None:
    """It stood still before it asked; meanwhile the message came again, and the run came to its end."""
    api = Api(orders=3)
    stood_still = [False]

    class StandsStill(FetchOrders):
        def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
            if not stood_still[0]:
                stood_still[0] = True
                harness.clock.advance(timedelta(minutes=6))
                harness.run()
            return super().process(message, context)

    harness = harness_of(StandsStill(api))
    tick(harness)
    harness.run()
    assert api.asked == [None, 2]
    assert numbers(harness) == [0, 1, 2]
    assert not stored(harness).is_running
