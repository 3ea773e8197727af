"""An exchange as a whole: who sends to whom, and what is found before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from api_exchange_core import (
    Exchange,
    GatewayProcessor,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    Routing,
    Rule,
    Schedule,
    TenantFromApiKey,
    field,
)
from api_exchange_core.application.topology import UNTOLD, Destinations, Finding, Severity, Topology
from api_exchange_core.domain.names import QueueName

# Processors are written as their authors write them, without @override.
# mypy: disable-error-code="explicit-override"

NO_SETTINGS: dict[str, Any] = {}


class Step(ProcessorInterface):
    """Sends to the queues that it is made with; `told` plays what is read from its source."""

    def __init__(self, *queues: str, complete: bool = True) -> None:
        self.told = Destinations(queues, complete)

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


def read(processor: ProcessorInterface) -> Destinations:
    return processor.told if isinstance(processor, Step) else UNTOLD


def topology(exchange: Exchange) -> Topology:
    return Topology.of(exchange, read=read)


def shop(*tenants: str) -> Exchange:
    return Exchange("shop", tenants=tenants or ("customer-a",))


def found(exchange: Exchange, severity: Severity) -> list[Finding]:
    return [finding for finding in topology(exchange).findings() if finding.severity is severity]


def sends_to(exchange: Exchange, function: str) -> Destinations:
    [step] = [step for step in topology(exchange).steps if step.function.name == function]
    return step.sends_to


def test_queues_are_mapped_to_their_senders_and_consumers() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("fetched"))
    exchange.http("intake", "/orders", Step("fetched"), tenant=TenantFromApiKey())
    exchange.queue("transform", "fetched", Step("done"))
    drawn = topology(exchange)
    assert drawn.senders == {"fetched": ("fetch", "intake"), "done": ("transform",)}
    assert {queue: step.function.name for queue, step in drawn.consumers.items()} == {
        "fetch": "fetch",
        "intake": "intake",
        "fetched": "transform",
    }
    assert drawn.ends == ("done",)


def test_an_exchange_in_order_has_only_its_ends_noted() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("fetched"))
    exchange.queue("transform", "fetched", Step("done"))
    assert topology(exchange).findings() == (
        Finding(Severity.NOTE, "queue 'done' is an end: filled by transform, consumed by no function"),
    )


def test_what_the_declaration_names_wins_over_what_is_read() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("read", complete=False), sends_to=["declared"])
    assert sends_to(exchange, "fetch") == Destinations(("declared",))


def test_a_gateway_names_its_queues_itself() -> None:
    exchange = shop()
    routing = Routing([Rule(field("total") > 1000, to=["orders", "fraud-check"])], default="orders")
    exchange.timer("route", Schedule.every(minutes=5), GatewayProcessor(routing))
    assert sends_to(exchange, "route") == Destinations(("orders", "fraud-check"))


@pytest.mark.parametrize(("named", "queues"), [(["one", "two"], ("one", "two")), ("orders", ("orders",))])
def test_any_processor_may_name_its_queues(named: Sequence[QueueName], queues: tuple[str, ...]) -> None:
    class NamesThem(Step):
        sends_to = named

    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), NamesThem("others"))
    assert sends_to(exchange, "fetch") == Destinations(queues)


def test_a_processor_that_cannot_be_made_is_an_error_and_says_why() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), lambda: NO_SETTINGS["API_KEY"])
    assert topology(exchange).findings() == (
        Finding(
            Severity.ERROR,
            "its processor could not be made: KeyError: 'API_KEY'",
            function=exchange.functions[0].name,
        ),
    )


def test_all_that_is_wrong_is_found_at_once() -> None:
    exchange = shop()
    not_made: Any = dict
    exchange.timer("fetch", Schedule.every(minutes=5), not_made)
    exchange.timer("count", Schedule.every(hours=1), lambda: NO_SETTINGS["API_KEY"])
    exchange.queue("transform", "fetched", Step("Orders"))
    assert [(finding.severity, finding.function) for finding in topology(exchange).findings()] == [
        ("error", "fetch"),
        ("error", "count"),
        ("error", "transform"),
        ("note", "transform"),
        ("note", None),
    ]


def test_something_else_than_a_processor_is_an_error() -> None:
    exchange = shop()
    not_made: Any = dict
    exchange.timer("fetch", Schedule.every(minutes=5), not_made)
    [finding] = found(exchange, Severity.ERROR)
    assert finding.text == "'dict' is no processor; derive it from ProcessorInterface"


def test_a_process_that_does_not_take_message_and_context_is_an_error() -> None:
    class Forgetful(ProcessorInterface):
        def process(self, message: Message) -> ProcessingResult:  # type: ignore[override]  # the slip that is found
            return ProcessingResult.create_success()

    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Forgetful)
    [finding] = found(exchange, Severity.ERROR)
    assert finding.text.startswith("Forgetful.process(message: 'Message')")
    assert finding.mend == "write it as: def process(self, message, context)"


def test_a_process_that_needs_more_than_message_and_context_is_an_error() -> None:
    class Greedy(ProcessorInterface):
        def process(self, message: Any, context: Any, client: Any) -> Any:  # type: ignore[override]  # the slip
            return None

    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Greedy)
    assert len(found(exchange, Severity.ERROR)) == 1


def test_a_process_that_is_no_method_is_an_error() -> None:
    class Odd(ProcessorInterface):
        process: Any = "later"

    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Odd)
    assert [finding.text for finding in found(exchange, Severity.ERROR)] == ["Odd.process is no method"]


def test_a_process_that_yields_is_an_error() -> None:
    class Yields(ProcessorInterface):
        def process(self, message: Any, context: Any) -> Any:
            yield ProcessingResult.create_success()

    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Yields)
    assert [finding.text for finding in found(exchange, Severity.ERROR)] == ["Yields.process yields"]


def test_a_payload_model_that_is_none_is_an_error() -> None:
    class Custom:
        pass

    class Typed(Step):
        payload_model: ClassVar[Any] = Custom

    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Typed)
    [finding] = found(exchange, Severity.ERROR)
    assert "cannot validate Custom" in finding.text


@pytest.mark.parametrize("queue", ["Orders", "orders_done", "o", "orders-dlq"])
def test_a_queue_name_that_some_platform_refuses_is_an_error_at_each_sender(queue: str) -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step(queue))
    exchange.timer("import", Schedule.every(minutes=5), Step(queue))
    errors = found(exchange, Severity.ERROR)
    assert [finding.function for finding in errors] == ["fetch", "import"]
    assert errors[0].text == f"sends to {queue!r}, which is refused when it runs"


def test_a_queue_that_nobody_fills_is_a_warning() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("invoices"))
    exchange.queue("transform", "fetched", Step())
    [finding] = found(exchange, Severity.WARNING)
    assert (finding.function, finding.text) == (
        "transform",
        "consumes 'fetched', and no function sends to it",
    )


def test_a_slip_in_a_queue_name_is_told_with_the_name_that_was_meant() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("orders-fetchd"))
    exchange.queue("transform", "orders-fetched", Step(complete=False))
    [finding] = found(exchange, Severity.WARNING)
    assert finding.mend == "did you mean 'orders-fetchd', filled by fetch?"


def test_a_queue_that_may_be_filled_by_what_cannot_be_told_is_only_noted() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step(complete=False))
    exchange.queue("transform", "fetched", Step())
    assert found(exchange, Severity.WARNING) == []
    assert [
        finding.mend for finding in found(exchange, Severity.NOTE) if finding.function == "transform"
    ] == ["perhaps one does whose queues are known only when it runs: fetch"]


def test_queues_that_cannot_be_told_are_noted_with_those_that_can() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("orders", complete=False))
    assert [finding.text for finding in found(exchange, Severity.NOTE) if finding.function == "fetch"] == [
        "where it sends to besides orders is known only when it runs"
    ]


def test_functions_that_only_wait_for_each_other_are_a_warning() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("fetched"))
    exchange.queue("transform", "fetched", Step())
    exchange.queue("ask", "questions", Step("answers"))
    exchange.queue("answer", "answers", Step("questions"))
    assert [(finding.function, finding.text) for finding in found(exchange, Severity.WARNING)] == [
        ("ask", "is never started: 'questions' is filled by answer alone, in a circle"),
        ("answer", "is never started: 'answers' is filled by ask alone, in a circle"),
    ]


def test_a_circle_that_something_starts_is_in_order() -> None:
    exchange = shop()
    exchange.timer("fetch", Schedule.every(minutes=5), Step("pages"))
    exchange.queue("read-page", "pages", Step("pages"))
    assert found(exchange, Severity.WARNING) == []


def test_an_exchange_without_functions_is_a_warning() -> None:
    assert [finding.text for finding in found(shop(), Severity.WARNING)] == [
        "exchange 'shop' has no functions"
    ]


def test_an_exchange_without_tenants_is_noted_since_some_may_be_added_later() -> None:
    exchange = Exchange("shop")
    exchange.timer("fetch", Schedule.every(minutes=5), Step())
    assert [finding.severity for finding in topology(exchange).findings()] == [Severity.NOTE]


def test_a_processor_that_cannot_be_hashed_or_compared_is_no_problem() -> None:
    @dataclass
    class Unhashable(Step):
        queue: str

        @property
        def sends_to(self) -> list[QueueName]:
            return [QueueName(self.queue)]

    exchange = shop()
    exchange.queue("ask", "questions", Unhashable("answers"))
    exchange.queue("answer", "answers", Unhashable("questions"))
    assert len(found(exchange, Severity.WARNING)) == 2
