"""What happened in a simulation, told so that it can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from typing_extensions import override

from api_exchange_core.domain.delivery import Complete, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.entity import EntityVersion
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.failure import Problem
from api_exchange_core.ports.journal import JournalEntry
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_testing.simulation.plan import Event, Fault

_WIDEST: Final = 10


@dataclass(slots=True, eq=False)
class Step:
    """A call of a port or processor: who made it, what it answered, and what went wrong there.

    Args:
        number: counted from 1 over all instances.
        at: the true time.
        who: the instance's life: ``B3`` is the third life of the second instance.
        name: of the call.
        arguments: of the call, those by place.
        event: what was chosen to go wrong.
        answer: what it answered, if it took effect.
    """

    number: int
    at: datetime
    who: str
    name: str
    arguments: Sequence[Any] = ()
    event: Event | None = None
    answer: Any = None

    @property
    def fault(self) -> Fault | None:
        """What went wrong."""
        return None if self.event is None else self.event.fault

    @property
    def amount(self) -> int:
        """How much of it."""
        return 0 if self.event is None else self.event.amount

    @override
    def __str__(self) -> str:
        fault = "" if self.event is None else f"  <-- {self.event.fault} {self.event.amount}"
        return f"{self.number:>5}  {self.at:%H:%M:%S}  {self.who:<4}  {self.name}{fault}"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the story, and the messages that it is about."""

    step: Step
    text: str
    about: frozenset[str]


def told(story: Sequence[Step], wrong: Sequence[str], parents: Mapping[str, str | None]) -> str:
    """What was *wrong*, the faults that led there, and the part of the story that has to do with it."""
    teller = _Teller()
    lines = [line for step in story if (line := teller.line(step)) is not None]
    related = _related(wrong, parents)
    kept = [line for line in lines if line.step.event is not None or _concerns(line, related)]
    start = story[0].at if story else None
    parts = [
        *(teller.shortened(one) for one in wrong),
        "",
        *(_line(line, start) for line in kept),
        *([f"({len(lines) - len(kept)} lines about other messages are left out)"] if kept != lines else ()),
        "",
        *teller.legend(related),
    ]
    return "\n".join(parts)


def _line(line: _Line, start: datetime | None) -> str:
    step = line.step
    after = timedelta(0) if start is None else step.at - start
    text = f"{_time(after):>9}  {step.who:<4} {line.text}"
    return (
        text
        if step.event is None
        else f"{text}\n{'':>16}^^^ {_fault(step.event, step.who)} (step {step.number})"
    )


def _time(after: timedelta) -> str:
    return f"{after.total_seconds():,.3f}".rstrip("0").rstrip(".") + " s"


def _fault(event: Event, who: str) -> str:
    return _TOLD[event.fault].format(who=who, amount=event.amount)


_TOLD: Final[Mapping[Fault, str]] = {
    Fault.SWITCH: "somebody else goes on from here",
    Fault.PAUSE: "{who} stands still for {amount} s",
    Fault.SLOW: "this takes {amount} s",
    Fault.CRASH_BEFORE: "{who} ends before this takes effect",
    Fault.CRASH_AFTER: "this takes effect, and {who} ends before it hears of it",
    Fault.REFUSE: "this fails, and has no effect",
    Fault.THROTTLE: "this fails, and so do all calls of this port for {amount} s",
    Fault.LOSE_ANSWER: "this takes effect, and {who} is told that it failed",
    Fault.DUPLICATE: "this arrives twice",
    Fault.DELAY: "this arrives {amount} s late",
    Fault.TEAR: "only the first part of this takes effect, and {who} is told that it failed",
    Fault.REORDER: "this comes in another order",
}


def _related(wrong: Sequence[str], parents: Mapping[str, str | None]) -> frozenset[str]:
    """The messages that *wrong* names, and those that they come from; none if it names none."""
    related = set()
    for id_ in parents:
        if any(id_ in one for one in wrong):
            cause: str | None = id_
            while cause is not None and cause not in related:
                related.add(cause)
                cause = parents.get(cause)
    return frozenset(related)


def _concerns(line: _Line, related: frozenset[str]) -> bool:
    return not related or not line.about or bool(line.about & related)


@dataclass(slots=True)
class _Teller:
    """Tells steps, with short names for the messages."""

    _names: dict[str, str] = field(default_factory=dict)
    _tenants: dict[str, str] = field(default_factory=dict)
    _staged: dict[str, list[str]] = field(default_factory=dict)
    _about: set[str] = field(default_factory=set)

    def line(self, step: Step) -> _Line | None:
        """The line of *step*; None if there is nothing to tell."""
        self._about = set()
        tell = _TELLING.get(step.name)
        text = None if tell is None else tell(self, step)
        if text is None and step.event is not None:
            text = step.name
        return None if text is None else _Line(step, text, frozenset(self._about))

    def shortened(self, text: str) -> str:
        """*text* with the short names of messages in place of their ids."""
        for id_, name in self._names.items():
            text = text.replace(id_, name)
        return text

    def legend(self, related: frozenset[str]) -> Iterator[str]:
        """What the short names stand for."""
        for id_, name in self._names.items():
            if not related or id_ in related:
                yield f"{name:>9} = {id_} of {self._tenants.get(id_, '?')}"

    def received(self, step: Step) -> str | None:
        """What came out of a queue."""
        if not step.answer:
            return None
        return f"receives {self._all(self._delivered(one) for one in step.answer)} from {step.arguments[0]}"

    def settled(self, step: Step) -> str:
        """How deliveries ended."""
        return f"settles {self._all(self._settlement(one) for one in step.arguments[0])}"

    def extended(self, step: Step) -> str:
        """What is kept in hand."""
        return f"goes on holding {self._all(self._delivered(one) for one in step.arguments[0])}"

    def processed(self, step: Step) -> str:
        """A call of a processor."""
        function, message_id = step.arguments
        failed = f", which fails: {step.answer.code}" if isinstance(step.answer, Problem) else ""
        return f"{function} processes {self._name(message_id)}{failed}"

    def sent(self, step: Step) -> str:
        """What went into queues."""
        return f"sends {self._all(self._outgoing(one) for one in step.arguments[0])}"

    def begun(self, step: Step) -> None:
        """A transaction."""
        self._staged[step.who] = []

    def journaled(self, step: Step) -> None:
        """What a transaction says of messages."""
        entries: Sequence[JournalEntry] = step.arguments[0]
        self._stage(step, (f"{self._name(one.message_id)} {one.state}{_fenced(one)}" for one in entries))

    def claimed(self, step: Step) -> None:
        """Claims that a transaction has taken or not."""
        standings = step.answer or {}
        self._stage(
            step,
            (
                f"claim of {self._name(id_)} (fence {one.fence})"
                if one.taken
                else f"no claim of {self._name(id_)}"
                for id_, one in standings.items()
            ),
        )

    def versioned(self, step: Step) -> None:
        """Versions in a transaction."""
        versions: Sequence[EntityVersion] = step.arguments[1]
        self._stage(step, (f"{one.entity_id[:8]} version {one.version}" for one in versions))

    def promised(self, step: Step) -> None:
        """Outputs in a transaction."""
        effects: Sequence[Outgoing | OutgoingLine] = step.arguments[0]
        self._stage(
            step,
            (
                f"output {self._outgoing(one)}" if isinstance(one, Outgoing) else f"a line for {one.name}"
                for one in effects
            ),
        )

    def committed(self, step: Step) -> str | None:
        """The end of a transaction."""
        staged = self._staged.pop(step.who, [])
        self._about |= {id_ for id_, name in self._names.items() for one in staged if name in one.split()}
        return f"commits {self._all(staged)}" if staged else None

    def relayed(self, step: Step) -> str | None:
        """What the relay found."""
        if not step.answer:
            return None
        effects = [row.effect for row in step.answer]
        return (
            f"relay takes up {self._all(self._outgoing(one) for one in effects if isinstance(one, Outgoing))}"
        )

    def taken_off(self, step: Step) -> str:
        """What left the outbox."""
        return f"takes {len(step.arguments[0])} rows off the outbox"

    def slept(self, step: Step) -> str:
        """A wait."""
        return f"waits {_time(step.arguments[0])}"

    def leased(self, step: Step) -> str | None:
        """The right to do a chore."""
        return f"takes the lease of {step.arguments[0]}" if step.answer else None

    def asked(self, step: Step) -> str:
        """A vendor is asked for a token."""
        return f"asks the vendor for a token of {step.arguments[0]}"

    def called(self, step: Step) -> str:
        """A call of somebody's API."""
        refused = ", which refuses the token" if step.answer is False else ""
        return f"calls the API for {step.arguments[0]}{refused}"

    def token_claimed(self, step: Step) -> str:
        """The right to ask for a token."""
        lease = step.answer
        fence = "but may not" if lease is None else f"fence {lease.fence}"
        return f"would make a token of {step.arguments[0].tenant_id} ({fence})"

    def token_stored(self, step: Step) -> str:
        """A token that was made."""
        lease = step.arguments[0]
        refused = ", which is refused" if step.answer is False else ""
        return f"stores a token of {lease.key.tenant_id} (fence {lease.fence}){refused}"

    def token_ended(self, step: Step) -> str:
        """A token that a vendor has refused."""
        done = "" if step.answer else ", which is another by now"
        return f"invalidates the token of {step.arguments[0].tenant_id}{done}"

    def _stage(self, step: Step, what: Iterable[str]) -> None:
        self._staged.setdefault(step.who, []).extend(what)

    def _settlement(self, settlement: Settlement) -> str:
        disposition = settlement.disposition
        how = "done" if isinstance(disposition, Complete) else "dead letter"
        if isinstance(disposition, Retry | Defer):
            how = f"again in {_time(disposition.after)}"
        return f"{self._delivered(settlement.delivery)} ({how})"

    def _delivered(self, delivery: Delivery) -> str:
        times = "" if delivery.receive_count == 1 else f" for the {delivery.receive_count}. time"
        return self._encoded(delivery.body) + times

    def _outgoing(self, outgoing: Outgoing) -> str:
        return f"{self._encoded(outgoing.body)} for {outgoing.queue}"

    def _encoded(self, body: bytes) -> str:
        try:
            message = decode(body)
        except InvalidMessageError:
            return "unreadable bytes"
        self._tenants[message.id] = message.tenant_id
        return self._name(message.id)

    def _name(self, message_id: str) -> str:
        self._about.add(message_id)
        return self._names.setdefault(message_id, f"m{len(self._names) + 1}")

    def _all(self, things: Iterable[str]) -> str:
        listed = list(things)
        more = f" and {len(listed) - _WIDEST} more" if len(listed) > _WIDEST else ""
        return ", ".join(listed[:_WIDEST]) + more


def _fenced(entry: JournalEntry) -> str:
    return f" (fence {entry.fence})" if entry.fence else ""


_TELLING: Final[Mapping[str, Callable[[_Teller, Step], str | None]]] = {
    "queue.receive": _Teller.received,
    "queue.settle": _Teller.settled,
    "queue.extend": _Teller.extended,
    "process": _Teller.processed,
    "publish": _Teller.sent,
    "unit.begin": _Teller.begun,
    "unit.journal.complete": _Teller.journaled,
    "unit.journal.fail": _Teller.journaled,
    "unit.journal.claim": _Teller.claimed,
    "unit.entities.write": _Teller.versioned,
    "unit.outbox.add": _Teller.promised,
    "unit.commit": _Teller.committed,
    "outbox.claim": _Teller.relayed,
    "outbox.sent": _Teller.taken_off,
    "sleep": _Teller.slept,
    "leases.take": _Teller.leased,
    "vendor.token": _Teller.asked,
    "vendor.call": _Teller.called,
    "tokens.claim": _Teller.token_claimed,
    "tokens.store": _Teller.token_stored,
    "tokens.invalidate": _Teller.token_ended,
}
