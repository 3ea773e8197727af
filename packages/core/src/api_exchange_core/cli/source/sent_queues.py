"""Which queues a processor sends to, as its source has it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from api_exchange_core.application.topology import UNTOLD, Destinations
from api_exchange_core.cli.source.function_source import FunctionSource
from api_exchange_core.cli.source.possible_values import Expression, Possible, PossibleValues, Value
from api_exchange_core.cli.source.processor_source import ProcessorSource
from api_exchange_core.domain.output import OutputHandler, QueueOutputHandler
from api_exchange_core.domain.processor import ProcessorInterface

_HANDLERS = ("QueueOutputHandler", "FileOutputHandler", "NoOutputHandler")


def sent_queues(processor: ProcessorInterface) -> Destinations:
    """The queues of all output handlers that *processor* makes.

    Their names are told where they are literals, constants or attributes set before it runs, or a choice
    between such, in a table or by a method. The answer is complete if no handler can come from elsewhere.
    """
    source = ProcessorSource.of(processor)
    if source is None:
        return UNTOLD
    reader = _Reader(source, PossibleValues(source))
    queues = dict.fromkeys(queue for function in source.functions for queue in reader.queues(function))
    return Destinations(tuple(queue for queue in queues if queue is not None), None not in queues)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Yields names of queues, and None for each place from which a name may come that cannot be told."""

    source: ProcessorSource
    values: PossibleValues

    def queues(self, function: FunctionSource) -> Iterator[str | None]:
        for call in function.calls:
            match _last_name(call.func):
                case "QueueOutputHandler":
                    yield from self._named_by(call, function)
                case "add_output_handler":
                    yield from self._handled_by(self._handed_over(call, function))
                case "ProcessingResult":
                    yield from self._created_with(call, function)
                case _ if self._hands_over_a_result(call, function):
                    yield None
        attributes = (node.attr for node in function.nodes if isinstance(node, ast.Attribute))
        if "output_handlers" in attributes:
            yield None
        if function is self.source.methods["process"][0]:
            yield from self._answered(function)

    def _handed_over(self, call: ast.Call, scope: FunctionSource) -> list[Possible]:
        arguments = [*call.args, *(word.value for word in call.keywords)]
        return [one for argument in arguments for one in self.values.of(argument, scope)]

    def _named_by(self, handler: ast.Call, scope: FunctionSource) -> Iterator[str | None]:
        named = [word.value for word in handler.keywords if word.arg == "queue"]
        for queue in handler.args[:1] or named or [handler]:
            for value in self.values.of(queue, scope):
                match value:
                    case Value(value=str() as name):
                        yield str.__str__(name)  # the text, if it is a member of an enumeration
                    case Value(value=None):  # a table's `get` without a default: no queue is called None
                        pass
                    case _:
                        yield None

    def _handled_by(self, handlers: list[Possible]) -> Iterator[str | None]:
        for handler in handlers:
            match handler:
                case Value(value=QueueOutputHandler(queue=queue)):
                    yield queue
                case Value(value=OutputHandler()):
                    pass
                case Expression(node=ast.Call(func=func)) if _last_name(func) in _HANDLERS:
                    pass  # the queue is read where the handler is made
                case _:
                    yield None

    def _created_with(self, result: ast.Call, scope: FunctionSource) -> Iterator[str | None]:
        for word in result.keywords:
            if word.arg in (None, "output_handlers"):
                yield from self._handled_by(self.values.elements(word.value, scope))

    def _answered(self, process: FunctionSource) -> Iterator[None]:
        """None for a result that is made where it cannot be seen what is added to it."""
        returned = process.returned
        for expression in () if returned is None else returned:
            if not all(_is_result(value) for value in self.values.of(expression, process)):
                yield None

    def _hands_over_a_result(self, call: ast.Call, scope: FunctionSource) -> bool:
        if self.source.callee(call, scope) is not None:
            return False
        return any(_is_result(value) for value in self._handed_over(call, scope))


def _last_name(func: ast.expr) -> str:
    match func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _is_result(value: Possible) -> bool:
    """Whether it is a result made here: ``ProcessingResult.create_success()``, say."""
    match value:
        case Expression(node=ast.Call(func=ast.Attribute(value=maker) | (ast.Name() as maker))):
            return _last_name(maker) == "ProcessingResult"
    return False
