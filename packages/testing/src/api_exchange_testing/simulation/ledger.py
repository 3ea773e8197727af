"""What really happened, noted beside the stores, so that neither code under test nor adapter can talk it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from pydantic_core import from_json

from api_exchange_core.domain.entity import EntityVersion
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.journal import Claim, JournalEntry
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.memory.observer import bound_ids

Listener = Callable[[str, Sequence[Any], Mapping[str, Any], Any], None]
"""Hears of each call that has taken effect: its name, its arguments by place and by name, and its answer."""

_Run = tuple[TenantId, FunctionName, MessageId]
_Line = tuple[QueueName, TenantId, str]


@dataclass(slots=True)
class _Staged:
    """What one unit of work has written so far."""

    completed: list[JournalEntry] = field(default_factory=list)
    claimed: list[tuple[JournalEntry, int]] = field(default_factory=list)
    renewed: list[tuple[Claim, datetime]] = field(default_factory=list)
    failed: list[JournalEntry] = field(default_factory=list)
    versions: list[EntityVersion] = field(default_factory=list)
    outputs: list[Outgoing] = field(default_factory=list)


@dataclass(slots=True)
class _Order:
    """The messages of one ordering key in one queue."""

    places: dict[MessageId, int] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)
    furthest: MessageId | None = None


@dataclass(slots=True)
class Ledger:
    """Sent messages and committed effects, in order.

    Args:
        exchange: the application.
        one_store: outputs are in their queues once they are committed.

    Attributes:
        sent: every message that a queue took, by queue; the same one more than once if it was sent more than once.
        completions: how often each message took effect in each function.
        promised: outputs that were committed, by queue.
        wrong: what was seen to be wrong when it happened.
        parents: the cause of each message.
    """

    exchange: Exchange
    one_store: bool = False
    sent: dict[QueueName, list[Outgoing]] = field(default_factory=dict)
    completions: Counter[_Run] = field(default_factory=Counter)
    promised: set[tuple[QueueName, TenantId, MessageId]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    parents: dict[str, str | None] = field(default_factory=dict)
    _causes: set[tuple[TenantId, str]] = field(default_factory=set)
    _tenants: dict[MessageId, set[TenantId]] = field(default_factory=dict)
    _holders: dict[_Run, str] = field(default_factory=dict)
    _fences: dict[_Run, int] = field(default_factory=dict)
    _leases: dict[_Run, datetime] = field(default_factory=dict)
    _orders: dict[_Line, _Order] = field(default_factory=dict)
    _lines: dict[tuple[QueueName, TenantId, MessageId], _Order] = field(default_factory=dict)
    _places: dict[tuple[QueueName, TenantId, str], tuple[int, int]] = field(default_factory=dict)
    _units: int = 0
    _queues: Mapping[str, QueueName] = field(init=False)

    def __post_init__(self) -> None:
        self._queues = {one.name: one.input_queue for one in self.exchange.functions}

    def note_sent(self, messages: Iterable[Outgoing]) -> None:
        """Messages are handed to a transport."""
        for outgoing in messages:
            if (identity := _identity(outgoing.body)) is None:
                continue  # somebody's bytes: dead-lettered as such
            tenant_id, message_id, cause, replays = identity
            self.sent.setdefault(outgoing.queue, []).append(outgoing)
            self._tenants.setdefault(message_id, set()).add(tenant_id)
            self.parents[message_id] = cause
            if outgoing.ordering_key is not None and not replays:
                self._note_order(outgoing, tenant_id, message_id)
            if cause is not None and (tenant_id, cause) not in self._causes:
                self.wrong.append(
                    f"an output without its cause: {outgoing.queue} got message {message_id} of {tenant_id} "
                    f"before message {cause} had taken effect"
                )

    def unit_of(self, tenant_id: TenantId, who: str, clock: Clock) -> Listener:
        """Listens to one unit of work of *who*: called with each call of a part, its arguments and its answer."""
        self._check_tenant(tenant_id)
        staged = _Staged()

        def heard(what: str, arguments: Sequence[Any], options: Mapping[str, Any], answer: Any) -> None:
            hear = _HEARING.get(what)
            if hear is not None:
                hear(staged, arguments, options, answer)
            elif what == "unit.commit":
                self._note_commit(tenant_id, staged, who, clock.now())

        return heard

    def _note_order(self, outgoing: Outgoing, tenant_id: TenantId, message_id: MessageId) -> None:
        order = self._orders.setdefault((outgoing.queue, tenant_id, str(outgoing.ordering_key)), _Order())
        place = self._places.get((outgoing.queue, tenant_id, message_id))
        if place is not None and message_id not in order.places:
            unit, number = place
            if order.sent.get(unit, -1) > number:
                self.wrong.append(
                    f"out of order: {outgoing.queue} got message {message_id} of {tenant_id} after one that was put "
                    "out later, with the same ordering key, by the same call"
                )
            order.sent[unit] = max(number, order.sent.get(unit, -1))
        order.places.setdefault(message_id, len(order.places))
        self._lines[outgoing.queue, tenant_id, message_id] = order

    def _note_commit(self, tenant_id: TenantId, staged: _Staged, who: str, now: datetime) -> None:
        for entry, fence in staged.claimed:
            run = (tenant_id, entry.function, entry.message_id)
            self._note_claim(run, fence, now)
            self._holders[run] = who
            if entry.leased_until is not None:
                self._leases[run] = entry.leased_until
        for claim, until in staged.renewed:
            self._leases[tenant_id, claim.function, claim.message_id] = until
        for entry in (*staged.failed, *staged.completed):
            self._leases.pop((tenant_id, entry.function, entry.message_id), None)
        for entry in staged.completed:
            self._note_completed((tenant_id, entry.function, entry.message_id), who)
        self._check_effects(tenant_id, staged)
        for version in staged.versions:
            self._check_cause(tenant_id, version)
        self._note_places(staged.outputs)
        if self.one_store:
            self.note_sent(staged.outputs)
        self.promised |= {(one.queue, one.tenant_id, MessageId(one.message_id)) for one in staged.outputs}

    def _note_claim(self, run: _Run, fence: int, now: datetime) -> None:
        newest = self._fences.get(run, 0)
        if fence <= newest:
            self.wrong.append(
                f"a fence went back: {run[1]} claimed message {run[2]} of {run[0]} with {fence} after {newest}"
            )
        lease = self._leases.get(run)
        if lease is not None and lease > now:
            self.wrong.append(
                f"two at once: {run[1]} claimed message {run[2]} of {run[0]} while somebody else's claim still held"
            )
        self._fences[run] = max(fence, newest)

    def _note_completed(self, run: _Run, who: str) -> None:
        tenant_id, function, message_id = run
        self._causes.add((tenant_id, message_id))
        self.completions[run] += 1
        if self.completions[run] > 1:
            self.wrong.append(
                f"effects twice: {function} committed message {message_id} of {tenant_id} again"
            )
        holder = self._holders.get(run, who)
        if holder != who:
            self.wrong.append(
                f"a late one committed: {who} completed message {message_id} of {tenant_id} in {function}, and "
                f"{holder} had claimed it since"
            )
        self._check_order(run)

    def _check_order(self, run: _Run) -> None:
        tenant_id, function, message_id = run
        queue = self._queues.get(function)
        order = None if queue is None else self._lines.get((queue, tenant_id, message_id))
        if order is None:
            return
        furthest = order.furthest
        if furthest is not None and order.places[furthest] > order.places[message_id]:
            self.wrong.append(
                f"out of order: {function} completed message {message_id} of {tenant_id} after message {furthest}, "
                f"which came into {queue} later with the same ordering key"
            )
        else:
            order.furthest = message_id

    def _check_effects(self, tenant_id: TenantId, staged: _Staged) -> None:
        """Versions and outputs are written by the unit of work that completes their message, and by no other."""
        completed: set[str | None] = {entry.message_id for entry in staged.completed}
        causes: set[str | None] = {version.message_id for version in staged.versions}
        causes |= {found[2] for one in staged.outputs if (found := _identity(one.body)) is not None}
        for message_id in sorted(filter(None, causes - completed)):
            self.wrong.append(
                f"effects twice: message {message_id} of {tenant_id} took effect in a unit of work that did not "
                "complete it"
            )

    def _note_places(self, outputs: Sequence[Outgoing]) -> None:
        self._units += 1
        for number, one in enumerate(outputs):
            if one.ordering_key is not None:
                self._places.setdefault((one.queue, one.tenant_id, one.message_id), (self._units, number))

    def _check_cause(self, tenant_id: TenantId, version: EntityVersion) -> None:
        message_id = version.message_id
        tenants = {tenant_id} if message_id is None else self._tenants.get(message_id, {tenant_id})
        if tenant_id not in tenants:
            self.wrong.append(
                f"a tenant crossed: entity {version.entity_id} of {tenant_id} was written for message "
                f"{message_id} of {', '.join(sorted(tenants))}"
            )

    def _check_tenant(self, tenant_id: TenantId) -> None:
        working_for = bound_ids().get("tenant_id")
        if working_for is not None and working_for != tenant_id:
            self.wrong.append(
                f"a tenant crossed: while working for {working_for}, function {bound_ids().get('function')} opened "
                f"the store of {tenant_id}"
            )


def _hear_completed(staged: _Staged, arguments: Sequence[Any], _: Mapping[str, Any], answer: Any) -> None:
    staged.completed += [entry for entry in arguments[0] if entry.message_id in answer]


def _hear_claimed(staged: _Staged, arguments: Sequence[Any], _: Mapping[str, Any], answer: Any) -> None:
    standings = [(entry, answer[entry.message_id]) for entry in arguments[0]]
    staged.claimed += [(entry, standing.fence) for entry, standing in standings if standing.taken]


def _hear_renewed(staged: _Staged, arguments: Sequence[Any], options: Mapping[str, Any], answer: Any) -> None:
    kept = [claim for claim in arguments[0] if claim.message_id not in answer]
    staged.renewed += [(claim, options["until"]) for claim in kept]


def _hear_failed(staged: _Staged, arguments: Sequence[Any], _: Mapping[str, Any], answer: Any) -> None:
    staged.failed += [entry for entry in arguments[0] if entry.message_id in answer]


def _hear_written(staged: _Staged, arguments: Sequence[Any], _: Mapping[str, Any], __: Any) -> None:
    staged.versions += arguments[1]


def _hear_output(staged: _Staged, arguments: Sequence[Any], _: Mapping[str, Any], __: Any) -> None:
    staged.outputs += [one for one in arguments[0] if isinstance(one, Outgoing)]


_HEARING: Final = {
    "unit.journal.complete": _hear_completed,
    "unit.journal.claim": _hear_claimed,
    "unit.journal.renew": _hear_renewed,
    "unit.journal.fail": _hear_failed,
    "unit.entities.write": _hear_written,
    "unit.outbox.add": _hear_output,
}


@lru_cache(maxsize=1024)
def _identity(body: bytes) -> tuple[TenantId, MessageId, MessageId | None, int] | None:
    """Tenant, id, cause and replays of an encoded message, as its bytes say; None if they say nothing."""
    try:
        event = from_json(body)
        return event["tenantid"], event["id"], event.get("causationid"), event.get("replays", 0)
    except (ValueError, TypeError, KeyError):
        return None
