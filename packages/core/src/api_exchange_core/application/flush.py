"""Writing what calls intended: one transaction, a handful of statements, whatever the number of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic_core import from_json

from api_exchange_core.application.call import Call
from api_exchange_core.application.forwarding import Forwarding
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.entity import EntityVersion, Persisted
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId
from api_exchange_core.domain.versioning import Versioning
from api_exchange_core.ports.checkpoints import Checkpoints
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.entity_store import EntityStore
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.outbox import OutboxRow
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush came to.

    Args:
        duplicates: messages that another call had completed before; nothing of this call was written.
        to_settle: deliveries that are done but not yet acknowledged.
        to_carry_out: committed effects that are not yet carried out.
        outputs: how many effects each message had.
        persisted: what came of each message's changes.
        took: from the begin of the transaction to its end.
    """

    duplicates: frozenset[MessageId]
    to_settle: Sequence[Delivery]
    to_carry_out: Sequence[OutboxRow]
    outputs: dict[MessageId, int]
    persisted: dict[MessageId, Sequence[Persisted]]
    took: timedelta


@dataclass(frozen=True, slots=True)
class Flush:
    """Commits entities, versions, checkpoints, journal, outbox and acknowledgements together or not at all."""

    units: UnitOfWorkFactory
    hasher: ContentHasher
    forwarding: Forwarding
    clock: Clock

    def commit(self, calls: Sequence[Call]) -> Flushed:
        """Write what *calls* intended.

        Args:
            calls: successful ones of one tenant and function, no message twice.

        Raises:
            LostRaceError: other writers were first each time, or a processor has read what is no longer true.
            ClaimLostError: a delivery, or the claim of an exclusive function, is somebody else's by now.
            PermanentError: an output cannot be sent.
            TransientError: the store could not be reached.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._commit(calls, lock=False)
            except LostRaceError:
                continue
        return self._commit(calls, lock=True)

    def _commit(self, calls: Sequence[Call], *, lock: bool) -> Flushed:
        began_at = self.clock.now()
        with self.units.begin(calls[0].message.tenant_id) as unit:
            accepted = unit.journal.complete([self._entry(call) for call in calls])
            fresh = [call for call in calls if call.message.id in accepted]
            _save(unit.checkpoints, fresh)
            persisted = self._persist(unit.entities, fresh, lock=lock)
            effects = {
                call.message.id: self.forwarding.effects(call, outcomes)
                for call, outcomes in zip(fresh, persisted, strict=True)
            }
            rows = unit.outbox.add(
                [effect for own in effects.values() for effect in own], now=self.clock.now()
            )
            to_settle = self._acknowledge(unit, calls)
            unit.commit()
        return Flushed(
            duplicates=frozenset(call.message.id for call in calls) - accepted,
            to_settle=to_settle,
            to_carry_out=rows,
            outputs={message_id: len(own) for message_id, own in effects.items()},
            persisted={call.message.id: outcomes for call, outcomes in zip(fresh, persisted, strict=True)},
            took=self.clock.now() - began_at,
        )

    def _acknowledge(self, unit: UnitOfWork, calls: Sequence[Call]) -> Sequence[Delivery]:
        deliveries = [call.incoming.delivery for call in calls]
        if calls[0].function.exclusive is not None:
            # Its claim decides who commits; a receipt that is worthless by now must not undo the work.
            return deliveries
        return unit.acknowledge(deliveries)

    def _entry(self, call: Call) -> JournalEntry:
        message = call.message
        return JournalEntry(
            function=call.function.name,
            message_id=message.id,
            state=ProcessingState.COMPLETED,
            attempts=call.incoming.attempt,
            correlation_id=message.correlation_id,
            causation_id=message.causation_id,
            entity_id=None if message.entity is None else message.entity.id,
            started_at=call.started_at,
            finished_at=self.clock.now(),
            fence=call.incoming.fence,
            operation=call.operation,
            waited=call.waited,
            took=call.took,
        )

    def _persist(self, store: EntityStore, calls: Sequence[Call], *, lock: bool) -> list[list[Persisted]]:
        ids = sorted({change.id for call in calls for change in call.intentions.changes})
        if not ids:
            return [[] for _ in calls]
        # A source's counter can move without a version being made, which the version alone would not show.
        counted = any(
            change.source_version is not None for call in calls for change in call.intentions.changes
        )
        versioning = Versioning(store.heads(ids, lock=lock or counted), self.clock.now())
        settled = []
        for call in calls:
            persisted = [versioning.apply(change) for change in call.intentions.changes]
            call.intentions.settle(persisted)
            settled.append(persisted)
        versions = [
            new_version(one, hasher=self.hasher, now=versioning.now, message=call.message)
            for call, persisted in zip(calls, settled, strict=True)
            for one in persisted
            if one.outcome.wrote_version
        ]
        if versioning.writes:
            store.write(versioning.writes, versions)
        return settled


def _save(store: Checkpoints, calls: Sequence[Call]) -> None:
    for (
        call
    ) in calls:  # one by one: of two calls that save the same checkpoint the second must see that it is late
        if call.intentions.checkpoints:
            store.write(call.intentions.checkpoints)


def new_version(
    persisted: Persisted, *, hasher: ContentHasher, now: datetime, message: Message | None
) -> EntityVersion:
    """The row of history that a change has made."""
    change = persisted.change
    return EntityVersion(
        entity_id=change.id,
        version=persisted.version,
        content_hash=change.content_hash,
        field_hashes=hasher.field_hashes(from_json(change.content), canonical_type=change.key.canonical_type),
        message_id=None if message is None else message.id,
        correlation_id=None if message is None else message.correlation_id,
        operation=change.operation,
        created_at=now,
    )
