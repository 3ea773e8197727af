"""A topology as a Mermaid flowchart."""

from __future__ import annotations

import re
from collections.abc import Iterator

from api_exchange_core.application.topology import Step, Topology
from api_exchange_core.domain.trigger import HttpTrigger, TimerTrigger

_PLAIN = re.compile(r"[^A-Za-z0-9 ,./:_-]")
_END_STYLE = "classDef ends stroke-dasharray:4"
_UNKNOWN = 'unknown["? known only when it runs"]'


def mermaid_graph(topology: Topology) -> str:
    """Functions as boxes, round for timers and pointed for HTTP; queues as cylinders, dashed where they end.

    Everything stands in the order of the declaration, so that a drawing kept under version control changes
    where the exchange does.
    """
    return "\n    ".join(["flowchart LR", *_nodes(topology), *_arrows(topology), _END_STYLE])


def _nodes(topology: Topology) -> Iterator[str]:
    yield from (_function(step) for step in topology.steps)
    consumed = (step.function.input_queue for step in topology.steps if not step.starts_by_itself)
    for queue in dict.fromkeys([*consumed, *topology.senders]):
        ends = ":::ends" if queue in topology.ends else ""
        yield f'{_queue_id(queue)}[("{_label(queue)}")]{ends}'
    if topology.untold:
        yield _UNKNOWN


def _arrows(topology: Topology) -> Iterator[str]:
    for step in topology.steps:
        name = _function_id(step)
        if not step.starts_by_itself or step.function.input_queue in topology.senders:
            yield f"{_queue_id(step.function.input_queue)} --> {name}"
        yield from (f"{name} --> {_queue_id(queue)}" for queue in step.sends_to.queues)
        if not step.sends_to.complete:
            yield f"{name} -.-> unknown"


def _function(step: Step) -> str:
    name = _label(step.function.name)
    text = f"{name}<br/>{_label(step.started_by)}"
    match step.function.trigger:
        case TimerTrigger():
            return f'{_function_id(step)}(["{text}"])'
        case HttpTrigger():
            return f'{_function_id(step)}{{{{"{text}"}}}}'
    return f'{_function_id(step)}["{name}"]'


def _function_id(step: Step) -> str:
    return f"f_{_id(step.function.name)}"


def _queue_id(queue: str) -> str:
    return f"q_{_id(queue)}"


def _id(name: str) -> str:
    """An identifier. Portable names have no underscore, so two of them never share one."""
    return re.sub(r"[^A-Za-z0-9-]", lambda found: f"__{ord(found[0]):x}__", name).replace("-", "_")


def _label(text: str) -> str:
    """Text as Mermaid's entity codes have it: quotes would end a label, and stars and backticks style it."""
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", text)
