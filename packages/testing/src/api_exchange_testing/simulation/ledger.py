"""What really happened, noted beside the stores, so that neither code under test nor adapter can talk it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from api_exchange_core.domain.entity import EntityVersion
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.ports.journal import JournalEntry
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine
from api_exchange_testing.memory.observer import bound_ids

_Identity = tuple[TenantId, MessageId]


@dataclass(slots=True)
class _Staged:
    """What one unit of work has written so far."""

    completed: list[tuple[FunctionName, MessageId]] = field(default_factory=list)
    versions: list[EntityVersion] = field(default_factory=list)
    outputs: list[Outgoing] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """Sent messages and committed effects, in order.

    Args:
        one_store: outputs are in their queues once they are committed.

    Attributes:
        sent: every message that a queue took, by queue; the same one more than once if it was sent more than once.
        completions: how often each message took effect in each function.
        promised: outputs that were committed, by queue.
        wrong: what was seen to be wrong when it happened.
    """

    one_store: bool = False
    sent: dict[QueueName, list[Message]] = field(default_factory=dict)
    completions: Counter[tuple[TenantId, FunctionName, MessageId]] = field(default_factory=Counter)
    promised: set[tuple[QueueName, TenantId, MessageId]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _causes: set[_Identity] = field(default_factory=set)
    _tenants: dict[MessageId, set[TenantId]] = field(default_factory=dict)

    def note_sent(self, messages: Iterable[Outgoing]) -> None:
        """Messages are handed to a transport."""
        for outgoing in messages:
            try:
                message = decode(outgoing.body)
            except InvalidMessageError:
                continue  # somebody's bytes: dead-lettered as such
            self.sent.setdefault(outgoing.queue, []).append(message)
            self._tenants.setdefault(message.id, set()).add(message.tenant_id)
            cause = message.causation_id
            if cause is not None and (message.tenant_id, cause) not in self._causes:
                self.wrong.append(
                    f"an output without its cause: {outgoing.queue} got message {message.id} of {message.tenant_id} "
                    f"before message {cause} had taken effect"
                )

    def unit_of(self, tenant_id: TenantId) -> Callable[[str, Sequence[object], object], None]:
        """Listens to one unit of work: called with each call of a part, its arguments and its answer."""
        self._check_tenant(tenant_id)
        staged = _Staged()

        def heard(what: str, arguments: Sequence[object], answer: object) -> None:
            match what:
                case "unit.journal.complete":
                    entries = cast("Sequence[JournalEntry]", arguments[0])
                    accepted = cast("Collection[MessageId]", answer)
                    staged.completed += [
                        (e.function, e.message_id) for e in entries if e.message_id in accepted
                    ]
                case "unit.entities.write":
                    staged.versions += cast("Sequence[EntityVersion]", arguments[1])
                case "unit.outbox.add":
                    effects = cast("Sequence[Outgoing | OutgoingLine]", arguments[0])
                    staged.outputs += [one for one in effects if isinstance(one, Outgoing)]
                case "unit.commit":
                    self._note_commit(tenant_id, staged)

        return heard

    def _note_commit(self, tenant_id: TenantId, staged: _Staged) -> None:
        for function, message_id in staged.completed:
            self._causes.add((tenant_id, message_id))
            self.completions[tenant_id, function, message_id] += 1
            if self.completions[tenant_id, function, message_id] > 1:
                self.wrong.append(
                    f"effects twice: {function} committed message {message_id} of {tenant_id} again"
                )
        for version in staged.versions:
            tenants = (
                self._tenants.get(version.message_id, {tenant_id}) if version.message_id else {tenant_id}
            )
            if tenant_id not in tenants:
                self.wrong.append(
                    f"a tenant crossed: entity {version.entity_id} of {tenant_id} was written for message "
                    f"{version.message_id} of {', '.join(sorted(tenants))}"
                )
        if self.one_store:
            self.note_sent(staged.outputs)
        self.promised |= {(one.queue, one.tenant_id, MessageId(one.message_id)) for one in staged.outputs}

    def _check_tenant(self, tenant_id: TenantId) -> None:
        working_for = bound_ids().get("tenant_id")
        if working_for is not None and working_for != tenant_id:
            self.wrong.append(
                f"a tenant crossed: while working for {working_for}, function {bound_ids().get('function')} opened "
                f"the store of {tenant_id}"
            )
