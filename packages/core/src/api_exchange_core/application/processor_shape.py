"""Whether a processor can be called at all, found out without calling it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.payload_model import check_model
from api_exchange_core.domain.processor import ProcessorInterface


def shape_problems(processor: ProcessorInterface) -> Iterator[tuple[str, str]]:
    """What would make every call of *processor* fail, each with its mend."""
    where = f"{type(processor).__name__}.process"
    process = processor.process
    if not callable(process):
        yield f"{where} is no method", "write it as: def process(self, message, context)"
    elif not _takes_two(process):
        yield (
            f"{where}{inspect.signature(process)} cannot be called with a message and a context",
            "write it as: def process(self, message, context)",
        )
    elif inspect.isgeneratorfunction(process) or inspect.isasyncgenfunction(process):
        yield f"{where} yields", "return one ProcessingResult; add_output_message sends several messages"
    if processor.payload_model is not None:
        try:
            check_model(processor.payload_model)
        except DeclarationError as error:
            yield f"its payload_model is none: {error}", ""


def _takes_two(process: Callable[..., object]) -> bool:
    try:
        inspect.signature(process).bind("message", "context")
    except TypeError:
        return False
    return True
