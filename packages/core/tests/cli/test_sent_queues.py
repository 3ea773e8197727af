"""Reading a processor's source: which queues it can send to, and whether these are all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from typing import Any, ClassVar

import pytest

from api_exchange_core import (
    FileOutputHandler,
    Message,
    NoOutputHandler,
    OutputHandler,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    operation,
)
from api_exchange_core.cli.source.sent_queues import sent_queues

# Processors here are written as people write them: at length, and without annotations where Python needs none.
# ruff: noqa: F841, N806, RET504, SIM108
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc,explicit-override"

EXPRESS = "express-orders"
ROUTES = {"express": EXPRESS, "standard": "standard-orders"}
SETTINGS = {"queue": "configured-orders", "timeout": "10s"}
AUDITED = ["orders", "audit"]


class Queues(StrEnum):
    EXPRESS = "express-orders"
    STANDARD = "standard-orders"


class Names(Enum):
    STANDARD = "standard-orders"


def service_queue(order) -> str:
    if order["express"]:
        return EXPRESS
    return "standard-orders"


def send_to_audit(result) -> None:
    result.add_output_handler(QueueOutputHandler("audit"))


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Sends(ProcessorInterface):
    """Sends to the queue that a subclass names."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(self.queue(message)))
        return result

    def queue(self, message) -> str:
        raise NotImplementedError


class Literal(Sends):
    def queue(self, message):
        return "orders"


class ModuleConstant(Sends):
    def queue(self, message):
        return EXPRESS


class Conditional(Sends):
    def queue(self, message):
        return "express-orders" if message.payload["express"] else "standard-orders"


class Fallback(Sends):
    def queue(self, message):
        queue = ROUTES.get(message.payload["type"])
        queue = queue or "unknown-orders"
        return queue


class Branches(Sends):
    def queue(self, message):
        if message.payload["express"]:
            name = "express-orders"
        else:
            name = "standard-orders"
        return name


class Matches(Sends):
    def queue(self, message):
        match message.payload["type"]:
            case "express":
                return "express-orders"
            case _:
                return (name := "standard-orders")


class KnownKey(Sends):
    def queue(self, message):
        return SETTINGS["queue"]


class EnumMembers(Sends):
    def queue(self, message):
        return Queues.EXPRESS if message.payload["express"] else Names.STANDARD.value


class OtherFunction(Sends):
    def queue(self, message):
        return service_queue(message.payload)


class ClassConstant(Sends):
    QUEUES: ClassVar[dict[str, str]] = {"express": "express-orders"}

    def queue(self, message):
        return self.QUEUES[message.payload["type"]]


class Configured(Sends):
    def __init__(self, queue_name: str) -> None:
        self.queue_name = queue_name

    def queue(self, message):
        return self.queue_name


class Delegates(Literal):
    def process(self, message, context):
        return super().process(message, context)


class AsWritten(ProcessorInterface):
    @operation("route.by_type")
    def process(self, message, context):
        queue = {"express": "express-orders", "standard": "standard-orders"}.get(
            message.payload.get("order_type"), "unknown-orders"
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(queue))
        return result


class Asynchronous(ProcessorInterface):
    async def process(self, message, context):
        result = await self.made(message)
        return result

    async def made(self, message):
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(queue="orders"))
        return result


class LoopsOver(ProcessorInterface):
    def process(self, message, context):
        result = ProcessingResult(success=True)
        for queue in AUDITED:
            result.add_output_handler(QueueOutputHandler(queue))
        for handler in [QueueOutputHandler(name) for name in ROUTES.values()]:
            result.add_output_handler(handler)
        return result


class HandlersAtOnce(ProcessorInterface):
    def process(self, message, context):
        return ProcessingResult(
            success=True, output_handlers=[QueueOutputHandler("orders"), NoOutputHandler()]
        )


class KeepsHandlers(ProcessorInterface):
    def __init__(self, *queues: str) -> None:
        self.handlers: tuple[OutputHandler, ...] = tuple(QueueOutputHandler(queue) for queue in queues)

    def process(self, message, context):
        result = ProcessingResult.create_success()
        for handler in self.handlers:
            result.add_output_handler(handler)
        return result


class LetsAFunctionAdd(ProcessorInterface):
    def process(self, message, context):
        result = ProcessingResult.create_success()
        send_to_audit(result)
        return result


class Decorated(ProcessorInterface):
    @traced
    @operation("sink")
    def process(self, message, context):
        result = ProcessingResult.create_success()
        result.add_output_handler(FileOutputHandler("orders.jsonl"))
        result.add_output_handler(QueueOutputHandler("orders"))
        return result


class EndsHere(ProcessorInterface):
    def process(self, message, context):
        if message.payload is None:
            return ProcessingResult.create_failure("nothing in it", can_retry=False)
        return ProcessingResult.create_success()


@pytest.mark.parametrize(
    ("processor", "queues"),
    [
        (Literal(), ["orders"]),
        (ModuleConstant(), ["express-orders"]),
        (Conditional(), ["express-orders", "standard-orders"]),
        (Fallback(), ["express-orders", "standard-orders", "unknown-orders"]),
        (Branches(), ["express-orders", "standard-orders"]),
        (Matches(), ["express-orders", "standard-orders"]),
        (KnownKey(), ["configured-orders"]),
        (EnumMembers(), ["express-orders", "standard-orders"]),
        (OtherFunction(), ["express-orders", "standard-orders"]),
        (ClassConstant(), ["express-orders"]),
        (Configured("my-orders"), ["my-orders"]),
        (Delegates(), ["orders"]),
        (AsWritten(), ["express-orders", "standard-orders", "unknown-orders"]),
        (Asynchronous(), ["orders"]),
        (LoopsOver(), ["orders", "audit", "express-orders", "standard-orders"]),
        (HandlersAtOnce(), ["orders"]),
        (KeepsHandlers("orders", "audit"), ["orders", "audit"]),
        (LetsAFunctionAdd(), ["audit"]),
        (Decorated(), ["orders"]),
        (EndsHere(), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_all_queues_are_told(processor: ProcessorInterface, queues: list[str]) -> None:
    told = sent_queues(processor)
    assert list(told.queues) == queues
    assert told.complete


def test_a_queue_from_the_enclosing_function_is_told() -> None:
    queue = "orders"

    class Enclosed(Sends):
        def queue(self, message):
            return queue

    assert sent_queues(Enclosed()).queues == ("orders",)


def test_a_member_of_an_enumeration_is_told_as_its_text() -> None:
    assert [type(queue) for queue in sent_queues(EnumMembers()).queues] == [str, str]


class FromPayload(Sends):
    def queue(self, message):
        return message.payload["queue"]


class MadeUp(Sends):
    def queue(self, message):
        return f"orders-{message.payload['country']}"


class FromPayloadElse(Sends):
    def queue(self, message):
        return message.payload.get("queue", "orders")


class Changing(Sends):
    def __init__(self) -> None:
        self.name = "orders"

    def queue(self, message):
        self.name = message.payload["queue"]
        return self.name


class Learning(Sends):
    def __init__(self) -> None:
        self.known = {"a": "orders"}

    def queue(self, message):
        self.known["b"] = message.payload["queue"]
        return self.known[message.payload["key"]]


class Collects(ProcessorInterface):
    def process(self, message, context):
        queues = ["orders"]
        queues.append(message.payload["queue"])
        result = ProcessingResult.create_success()
        for queue in queues:
            result.add_output_handler(QueueOutputHandler(queue))
        return result


class Generates(ProcessorInterface):
    def process(self, message, context):
        result = ProcessingResult.create_success()
        for queue in self.queues(message):
            result.add_output_handler(QueueOutputHandler(queue))
        return result

    def queues(self, message) -> Iterator[str]:
        yield from message.payload["queues"]


class Wraps(ProcessorInterface):
    def __init__(self, inner: ProcessorInterface) -> None:
        self.inner = inner

    def process(self, message, context):
        return self.inner.process(message, context)


class HandsOver(ProcessorInterface):
    def __init__(self, router) -> None:
        self.router = router

    def process(self, message, context):
        result = ProcessingResult.create_success()
        self.router.route(message, result)
        return result


class TakesHandlers(ProcessorInterface):
    def __init__(self, handler_for) -> None:
        self.handler_for = handler_for

    def process(self, message, context):
        result = ProcessingResult.create_success()
        result.add_output_handler(self.handler_for(message))
        return result


class ReachesIn(ProcessorInterface):
    def process(self, message, context):
        result = ProcessingResult.create_success()
        result.output_handlers.extend(message.payload)
        return result


class Spreads(ProcessorInterface):
    def process(self, message, context):
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(**message.payload))
        return result


class Captures(Sends):
    def queue(self, message):
        match message.payload:
            case {"queue": EXPRESS}:
                return EXPRESS
        return "orders"


@pytest.mark.parametrize(
    ("processor", "queues"),
    [
        (FromPayload(), []),
        (MadeUp(), []),
        (FromPayloadElse(), ["orders"]),
        (Changing(), []),
        (Learning(), []),
        (Collects(), ["orders"]),
        (Generates(), []),
        (Wraps(Literal()), []),
        (HandsOver(None), []),
        (TakesHandlers(None), []),
        (ReachesIn(), []),
        (Spreads(), []),
        (Captures(), ["orders"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_known_only_when_it_runs_is_not_taken_for_all(
    processor: ProcessorInterface, queues: list[str]
) -> None:
    told = sent_queues(processor)
    assert list(told.queues) == queues
    assert not told.complete


def test_a_processor_without_source_is_known_only_when_it_runs() -> None:
    names: dict[str, Any] = {"Sends": Sends, "__name__": "made"}
    exec("class Made(Sends):\n    def queue(self, message):\n        return 'orders'\n", names)
    assert not sent_queues(names["Made"]()).complete
