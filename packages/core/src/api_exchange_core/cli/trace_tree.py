"""The way of a request as a tree: what stands out in full, and the many that went the same way in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from rich.text import Text
from rich.tree import Tree

from api_exchange_core.application.trace_request import Step, Trace
from api_exchange_core.cli.show import moment, span
from api_exchange_core.cli.states import state
from api_exchange_core.domain.names import dead_letter_queue
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.message_reports import FailedAttempt, HandledMessage

_SHOWN_OF_ALIKE = 3
_LONGEST_REASON = 160


@dataclass(slots=True)
class _Node:
    """A step with what came of it.

    Args:
        step: the step.
        effects: the messages that it caused.
        below: how many messages came of it in each state.
        way: the same number for messages that went the same way, with all that came of them.
    """

    step: Step
    effects: list[_Node] = field(default_factory=list)
    below: Counter[ProcessingState] = field(default_factory=Counter)
    way: int = 0


def trace_tree(trace: Trace, *, everything: bool) -> Tree:
    """The tree of *trace*.

    Args:
        trace: what happened.
        everything: each of the many messages that went the same way, too.
    """
    tree = Tree(_heading(trace), guide_style="dim")
    if not trace.steps:
        return tree
    began = min(step.message.started_at for step in trace.steps)
    waiting = [(tree, _roots(trace.steps))]
    while waiting:
        branch, nodes = waiting.pop()
        shown = nodes if everything else list(_standing_out(nodes))
        for node in shown:
            below = branch.add(_line(node.step.message, began))
            for text in _attempts(node.step):
                below.add(text)
            waiting.append((below, node.effects))
        for text in _folded(nodes, shown):
            branch.add(text)
    return tree


def _roots(steps: Sequence[Step]) -> list[_Node]:
    roots: list[_Node] = []
    above: list[_Node] = []
    nodes = []
    for step in steps:
        node = _Node(step)
        del above[step.depth :]
        (above[-1].effects if above else roots).append(node)
        above.append(node)
        nodes.append(node)
    ways: dict[object, int] = {}
    for node in reversed(nodes):  # effects before their causes
        message = node.step.message
        for effect in node.effects:
            node.below[effect.step.message.state] += 1
            node.below += effect.below
        ways_below = frozenset(effect.way for effect in node.effects)
        looks = (message.function, message.state, message.fingerprint, message.attempts > 1, ways_below)
        node.way = ways.setdefault(looks, len(ways))
    return roots


def _standing_out(nodes: Sequence[_Node]) -> Iterator[_Node]:
    """All of *nodes*, save for most of many that went the same way."""
    sizes = Counter(node.way for node in nodes)
    seen: Counter[object] = Counter()
    for node in nodes:
        seen[node.way] += 1
        # One line that says "1 more" is no shorter than the line of that one.
        if seen[node.way] <= _SHOWN_OF_ALIKE or sizes[node.way] == _SHOWN_OF_ALIKE + 1:
            yield node


def _folded(nodes: Sequence[_Node], shown: Sequence[_Node]) -> Iterator[Text]:
    visible = {id(node) for node in shown}
    hidden = [node for node in nodes if id(node) not in visible]
    for way in dict.fromkeys(node.way for node in hidden):
        alike = [node for node in hidden if node.way == way]
        message = alike[0].step.message
        below = sum((node.below for node in alike), Counter[ProcessingState]())
        yield Text.assemble(
            (f"and {len(alike):,} more: {message.function} ", "dim"),
            state(message.state),
            (", and below them" if below else "", "dim"),
            *(part for one, number in below.items() for part in ((f" {number:,} ", "dim"), state(one))),
        )


def _heading(trace: Trace) -> Text:
    messages = [step.message for step in trace.steps]
    if not messages:
        return Text(f"request {trace.request.correlation_id} of {trace.request.tenant_id}: nothing to show")
    counted = ", ".join(
        f"{number:,} {name}" for name, number in Counter(one.state.value for one in messages).items()
    )
    began = min(one.started_at for one in messages)
    lasted = max(one.finished_at for one in messages) - began
    return Text.assemble(
        ("request ", "dim"),
        (trace.request.correlation_id, "bold"),
        (" of ", "dim"),
        (trace.request.tenant_id, "bold"),
        f"  {counted}",
        (f"  {moment(began)} UTC, {span(lasted)}", "dim"),
        ("" if trace.complete else "  only the first messages of it were read", "yellow"),
    )


def _line(message: HandledMessage, began: datetime) -> Text:
    attempts = f" after {message.attempts} attempts" if message.attempts > 1 else ""
    times = [f"+{span(message.started_at - began)}"]
    if message.waited is not None:
        times.append(f"waited {span(message.waited)}")
    if message.took is not None:
        times.append(f"took {span(message.took)}")
    return Text.assemble(
        (message.function, "bold"),
        " ",
        state(message.state),
        attempts,
        (f"  {', '.join(times)}", "dim"),
        (f"  {message.message_id}", "dim cyan"),
    )


def _attempts(step: Step) -> Iterator[Text]:
    for _, alike in groupby(step.failed, key=lambda attempt: attempt.problem.fingerprint):
        yield _alike(list(alike))
    last = step.failed[-1] if step.failed else None
    if step.message.state is ProcessingState.DEAD and last is not None and last.queue is not None:
        yield Text.assemble(("dead letter in ", "dim"), dead_letter_queue(last.queue))


def _alike(attempts: Sequence[FailedAttempt]) -> Text:
    """One line of attempts that failed in the same way one after the other; the reason is the last one's."""
    numbers = sorted({attempt.attempt for attempt in attempts})
    problem = attempts[-1].problem
    put_off = problem.defer is not None
    named = f"attempt {numbers[0]}" if len(numbers) == 1 else f"attempts {numbers[0]} to {numbers[-1]}"
    times = f", {len(attempts)} times" if len(attempts) > len(numbers) else ""
    reason = " ".join(problem.reason.split())
    return Text.assemble(
        (f"{named}{' put off' if put_off else ''}{times}  ", "dim"),
        (problem.code, "yellow" if put_off else "red"),
        f": {reason[:_LONGEST_REASON]}{'…' if len(reason) > _LONGEST_REASON else ''}",
        (f"  error {problem.fingerprint}", "dim"),
    )
