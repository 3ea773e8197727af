"""An application as a whole: which function sends to which queue, and what is amiss with that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from api_exchange_core.application.processor_shape import shape_problems
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.names import FunctionName, TenantId, queue_name
from api_exchange_core.domain.processor import NamesItsQueues, ProcessorInterface
from api_exchange_core.domain.trigger import HttpTrigger, QueueTrigger, TimerTrigger


@dataclass(frozen=True, slots=True)
class Destinations:
    """The queues that a processor sends to, as far as that can be told without running it.

    Args:
        queues: their names as the processor has them, in its order, none twice, and not checked.
        complete: it can send to no others.
    """

    queues: tuple[str, ...] = ()
    complete: bool = True


UNTOLD = Destinations(complete=False)

ReadDestinations = Callable[[ProcessorInterface], Destinations]
"""How to find out the destinations of a processor that does not name them, by reading its source, say."""


class Severity(StrEnum):
    """How bad a finding is; the worst first."""

    ERROR = "error"  # it will fail when it runs
    WARNING = "warning"  # it will hardly do what was meant
    NOTE = "note"  # right, or not to be told from outside


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about an application before it runs.

    Args:
        severity: how bad it is.
        text: what it is.
        mend: what to do about it, if anything.
        function: the function that it is about; None when it is about the whole.
    """

    severity: Severity
    text: str
    mend: str = ""
    function: FunctionName | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A function in its place.

    Args:
        function: as declared.
        sends_to: where its output goes.
        problems: why it will not work, whatever it is sent.
    """

    function: Function
    sends_to: Destinations
    problems: tuple[Finding, ...] = ()

    @property
    def starts_by_itself(self) -> bool:
        """Whether a timer or a request starts it, rather than what another function sends."""
        return not isinstance(self.function.trigger, QueueTrigger)

    @property
    def started_by(self) -> str:
        """What starts it, in words, of a request with what proves its tenant.

        ``timer: every 5 minutes``, ``HTTP: POST /orders by API key in X-API-Key``, ``queue: orders``.
        """
        match self.function.trigger:
            case TimerTrigger(schedule=schedule):
                return f"timer: {schedule}"
            case HttpTrigger(path=path, methods=methods, tenant=source):
                return f"HTTP: {', '.join(methods)} {path} by {source.proof}"
            case QueueTrigger(queue=queue):
                return f"queue: {queue}"


@dataclass(frozen=True, slots=True)
class Topology:
    """The functions of an exchange and the queues between them.

    Args:
        name: the exchange's.
        tenants: those that it declares.
        steps: its functions in the order of their declaration.
    """

    name: str
    tenants: tuple[TenantId, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, exchange: Exchange, *, read: ReadDestinations) -> Topology:
        """The topology of *exchange*. Makes every processor, and runs none.

        Args:
            exchange: the application.
            read: asked about processors whose queues neither the declaration nor the processor itself names.
        """
        return cls(
            exchange.name, exchange.tenants, tuple(_step(function, read) for function in exchange.functions)
        )

    @property
    def senders(self) -> Mapping[str, tuple[FunctionName, ...]]:
        """The functions that send to each queue, in the order in which the queues are first met."""
        senders: dict[str, tuple[FunctionName, ...]] = {}
        for step in self.steps:
            for queue in step.sends_to.queues:
                senders[queue] = (*senders.get(queue, ()), step.function.name)
        return senders

    @property
    def consumers(self) -> Mapping[str, Step]:
        """The function that consumes each queue; a timer's or HTTP function's is called like the function."""
        return {step.function.input_queue: step for step in self.steps}

    @property
    def ends(self) -> tuple[str, ...]:
        """The queues that are sent to and that no function consumes: the application's outputs, or slips."""
        return tuple(queue for queue in self.senders if queue not in self.consumers)

    @property
    def unfed(self) -> tuple[Step, ...]:
        """The functions whose queue no function is known to send to."""
        return tuple(
            step
            for step in self.steps
            if not step.starts_by_itself and step.function.input_queue not in self.senders
        )

    @property
    def untold(self) -> tuple[Step, ...]:
        """The functions that may send to more queues than can be told before they run."""
        return tuple(step for step in self.steps if not step.sends_to.complete)

    def findings(self) -> tuple[Finding, ...]:
        """All that is to be known before it runs, the worst first."""
        found = [finding for step in self.steps for finding in step.problems]
        for look in (_names_refused, _empty, _unfed, _never_started, _untold, _ends):
            found += look(self)
        return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))


def _step(function: Function, read: ReadDestinations) -> Step:
    declared = Destinations(function.sends_to) if function.sends_to else None
    try:
        processor = function.processor
    except DeclarationError as error:
        text = str(error).removeprefix(f"function {function.name!r}: ")
        return Step(function, declared or UNTOLD, (Finding(Severity.ERROR, text, function=function.name),))
    problems = tuple(
        Finding(Severity.ERROR, text, mend, function.name) for text, mend in shape_problems(processor)
    )
    return Step(function, declared or _named(processor) or read(processor), problems)


def _named(processor: ProcessorInterface) -> Destinations | None:
    if not isinstance(processor, NamesItsQueues):
        return None
    named = processor.sends_to
    return Destinations((named,) if isinstance(named, str) else tuple(named))


def _names_refused(topology: Topology) -> Iterator[Finding]:
    for queue, senders in topology.senders.items():
        try:
            queue_name(queue)
        except DeclarationError as error:
            for sender in senders:
                yield Finding(
                    Severity.ERROR, f"sends to {queue!r}, which is refused when it runs", str(error), sender
                )


def _empty(topology: Topology) -> Iterator[Finding]:
    if not topology.steps:
        yield Finding(
            Severity.WARNING,
            f"exchange {topology.name!r} has no functions",
            'declare one: exchange.timer("fetch-orders", Schedule.every(minutes=5), FetchOrders)',
        )
    if not topology.tenants:
        yield Finding(
            Severity.NOTE,
            f"exchange {topology.name!r} declares no tenants: nothing runs until one is added",
            f'name them: Exchange({topology.name!r}, tenants=["customer-a"])',
        )


def _unfed(topology: Topology) -> Iterator[Finding]:
    untold = ", ".join(step.function.name for step in topology.untold)
    for step in topology.unfed:
        queue = step.function.input_queue
        near = get_close_matches(queue, topology.ends, n=1)
        severity, text = Severity.WARNING, f"consumes {queue!r}, and no function sends to it"
        mend = "correct the name, unless another system fills the queue"
        if near:
            mend = f"did you mean {near[0]!r}, filled by {', '.join(topology.senders[near[0]])}?"
        elif untold:
            severity = Severity.NOTE
            mend = f"perhaps one does whose queues are known only when it runs: {untold}"
        yield Finding(severity, text, mend, step.function.name)


def _never_started(topology: Topology) -> Iterator[Finding]:
    """Functions that only wait for each other; not to be told while somebody's destinations are unknown."""
    if topology.untold:
        return
    started: set[FunctionName] = set()
    to_follow = [*(step for step in topology.steps if step.starts_by_itself), *topology.unfed]
    while to_follow:
        step = to_follow.pop()
        if step.function.name not in started:
            started.add(step.function.name)
            to_follow += (
                topology.consumers[queue] for queue in step.sends_to.queues if queue in topology.consumers
            )
    for step in topology.steps:
        if step.function.name not in started:
            queue = step.function.input_queue
            senders = ", ".join(topology.senders[queue])
            yield Finding(
                Severity.WARNING,
                f"is never started: {queue!r} is filled by {senders} alone, in a circle",
                "start the circle with a timer, an HTTP function or another function's output",
                step.function.name,
            )


def _untold(topology: Topology) -> Iterator[Finding]:
    for step in topology.untold:
        if not step.problems:
            besides = f" besides {', '.join(step.sends_to.queues)}" if step.sends_to.queues else ""
            yield Finding(
                Severity.NOTE,
                f"where it sends to{besides} is known only when it runs",
                'name its queues where it is declared: sends_to=["express-orders", "standard-orders"]',
                step.function.name,
            )


def _ends(topology: Topology) -> Iterator[Finding]:
    for queue in topology.ends:
        senders = ", ".join(topology.senders[queue])
        yield Finding(
            Severity.NOTE, f"queue {queue!r} is an end: filled by {senders}, consumed by no function"
        )
