"""A topology drawn as trees, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from api_exchange_core.application.topology import Step, Topology

_ASCII = str.maketrans({"├": "+", "└": "+", "─": "-", "│": "|"})


def text_graph(topology: Topology) -> str:
    """The functions below what starts them; queues in brackets; what is drawn already is only named again."""
    return "\n".join([_heading(topology), *_Trees(topology).lines()])


def in_ascii(drawing: str, *, encoding: str) -> str:
    """*drawing*, with its lines in ASCII if *encoding* has no better ones (a pipe on Windows, say)."""
    try:
        drawing.encode(encoding)
    except UnicodeEncodeError:
        return drawing.translate(_ASCII)
    return drawing


def _heading(topology: Topology) -> str:
    return f"{topology.name} for {', '.join(topology.tenants) or 'no declared tenant'}"


class _Trees:
    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._consumers = topology.consumers
        self._drawn: set[str] = set()

    def lines(self) -> Iterator[str]:
        """A tree for each timer and HTTP function, then for queues that nothing here fills, then for circles."""
        steps = self._topology.steps
        for step in (step for step in steps if step.starts_by_itself):
            yield from ("", f"{step.function.name} ({step.started_by})", *self._below(step))
        for step in self._topology.unfed:
            yield from ("", f"[{step.function.input_queue}] filled by no function", *self._consumer(step))
        for step in steps:
            if step.function.name not in self._drawn:
                yield from (
                    "",
                    f"[{step.function.input_queue}] a circle that nothing starts",
                    *self._consumer(step),
                )

    def _consumer(self, step: Step) -> Iterator[str]:
        name = step.function.name
        if name in self._drawn:
            yield f"└─ {name} (above)"
        else:
            yield f"└─ {name}"
            yield from (f"   {line}" for line in self._below(step))

    def _below(self, step: Step) -> Iterator[str]:
        self._drawn.add(step.function.name)
        branches: list[Sequence[str]] = [list(self._branch(queue)) for queue in step.sends_to.queues]
        if not step.sends_to.complete:
            branches.append(["? known only when it runs"])
        for branch in branches:
            first, rest = ("└─ ", "   ") if branch is branches[-1] else ("├─ ", "│  ")
            yield first + branch[0]
            yield from (rest + line for line in branch[1:])

    def _branch(self, queue: str) -> Iterator[str]:
        consumer = self._consumers.get(queue)
        if consumer is None:
            yield f"[{queue}] end"
        else:
            yield f"[{queue}]"
            yield from self._consumer(consumer)
