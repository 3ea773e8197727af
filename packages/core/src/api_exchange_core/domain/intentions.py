"""What a processor wants recorded, collected while it runs and written in one flush afterwards.

While a processor runs nothing is written. `Intentions.persist` encodes and hashes the content and hands back the
entity's id at once, since the id follows from the key. Version and outcome are looked up only if they are read
before the flush; the flush then fails with `LostRaceError` should they no longer hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api_exchange_core.domain.checkpoint import Assignment, Checkpoint
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.entity import (
    EntityChange,
    EntityHead,
    EntityKey,
    EntityReference,
    Persisted,
    PersistOutcome,
)
from api_exchange_core.domain.errors import DeclarationError, LostRaceError
from api_exchange_core.domain.names import EntityId, MessageId, TenantId
from api_exchange_core.domain.operation import current_operation
from api_exchange_core.domain.versioning import Versioning

HeadLookup = Callable[[EntityId], EntityHead | None]


class PersistedEntity(str):
    """The id of an entity that was handed to `persist_entity`, and what came of it.

    It is a `str`, so it goes wherever an entity id goes. Reading `outcome`, `version` or `reference` while the
    processor still runs asks the store once.
    """

    _read: Callable[[], Persisted]

    @classmethod
    def resolved_by(cls, entity_id: EntityId, read: Callable[[], Persisted]) -> PersistedEntity:
        """An id whose outcome *read* knows."""
        entity = cls(entity_id)
        entity._read = read
        return entity

    @property
    def outcome(self) -> PersistOutcome:
        """Created, updated, unchanged, stale or conflict."""
        return self._read().outcome

    @property
    def version(self) -> int:
        """The entity's version afterwards; 0 if it does not exist (a conflict)."""
        return self._read().version

    @property
    def reference(self) -> EntityReference:
        """The entity as a message carries it."""
        return self._read().reference


@dataclass(frozen=True, slots=True)
class HandOn:
    """A message to the function's own queue, which goes on with a run.

    Args:
        id: follows from the run and the page, so that the page is gone on from once.
        assignment: what it is to do.
    """

    id: MessageId
    assignment: Assignment


@dataclass(slots=True)
class Intentions:
    """The changes that one call of a processor wants, in its order.

    Args:
        tenant_id: on whose behalf.
        hasher: hashes content, leaving out the volatile fields of each canonical type.
        head_of: looks up an entity's head, for outcomes that are read early.
        now: the time that predicted heads carry.
    """

    tenant_id: TenantId
    hasher: ContentHasher
    head_of: HeadLookup
    now: datetime
    changes: list[EntityChange] = field(default_factory=list)
    _sources: set[str] = field(default_factory=set)
    _progress: dict[str, tuple[Checkpoint, HandOn | None]] = field(default_factory=dict)
    _told: dict[int, Persisted] = field(default_factory=dict)
    _settled: Sequence[Persisted] | None = None

    def persist(
        self,
        *,
        external_id: str,
        canonical_type: str,
        source: str,
        data: object,
        expected_version: int | None = None,
        source_version: int | None = None,
        forward_unchanged: bool = False,
    ) -> PersistedEntity:
        """Intend to record the content of an entity.

        Raises:
            UnrepresentableError: the data has no JSON form, or a part of the key cannot be stored.
        """
        key = EntityKey(
            tenant_id=self.tenant_id, canonical_type=canonical_type, source=source, external_id=external_id
        )
        content, content_hash = self.hasher.encode_and_hash(data, canonical_type=canonical_type)
        change = EntityChange(
            key=key,
            id=key.id,
            content=content,
            content_hash=content_hash,
            expected_version=expected_version,
            source_version=source_version,
            forward_unchanged=forward_unchanged,
            operation=current_operation(),
        )
        index = len(self.changes)
        self.changes.append(change)
        return PersistedEntity.resolved_by(change.id, lambda: self._outcome_of(index))

    @property
    def extracts(self) -> bool:
        """Whether the call has asked for pages of a source."""
        return bool(self._sources)

    @property
    def checkpoints(self) -> Sequence[Checkpoint]:
        """The checkpoints to write, by source; each goes over the version before its own."""
        return [checkpoint for _, (checkpoint, _) in sorted(self._progress.items())]

    @property
    def hand_ons(self) -> Sequence[HandOn]:
        """The messages that go on with runs, by source."""
        return [onward for _, (_, onward) in sorted(self._progress.items()) if onward is not None]

    def extracting(self, source: str) -> None:
        """Note that the call takes pages of *source*.

        Raises:
            DeclarationError: it did before, and each page would be asked for twice; or it keeps the source by hand.
        """
        if source in self._sources:
            raise DeclarationError(
                f"source {source!r} is extracted twice in one call: loop over its pages once, or name two sources"
            )
        if source in self._progress:
            raise _two_keepers(source)
        self._sources.add(source)

    def advance(self, checkpoint: Checkpoint, onward: HandOn | None) -> None:
        """Intend to write *checkpoint*, in place of what was intended for its source before."""
        self._progress[checkpoint.source] = (checkpoint, onward)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Intend to write *checkpoint*, which the processor keeps by hand.

        Raises:
            DeclarationError: the call takes pages of the source, and one of the two would undo the other.
        """
        if checkpoint.source in self._sources:
            raise _two_keepers(checkpoint.source)
        self.advance(checkpoint, None)

    def settle(self, persisted: Sequence[Persisted]) -> None:
        """Take in what the flush made of the changes, in their order.

        Raises:
            LostRaceError: an outcome that the processor has read is not what happened.
        """
        for index, told in self._told.items():
            if (persisted[index].outcome, persisted[index].version) != (told.outcome, told.version):
                raise LostRaceError(
                    f"entity {told.change.id} was to be {told.outcome} at version {told.version}, "
                    f"and came out {persisted[index].outcome} at {persisted[index].version}"
                )
        self._settled = persisted

    def _outcome_of(self, index: int) -> Persisted:
        if self._settled is not None:
            return self._settled[index]
        if index not in self._told:
            self._told[index] = self._predicted(index)
        return self._told[index]

    def _predicted(self, index: int) -> Persisted:
        wanted = self.changes[index]
        head = self.head_of(wanted.id)
        versioning = Versioning({} if head is None else {wanted.id: head}, self.now)
        earlier = [change for change in self.changes[: index + 1] if change.id == wanted.id]
        return [versioning.apply(change) for change in earlier][-1]


def _two_keepers(source: str) -> DeclarationError:
    return DeclarationError(
        f"source {source!r} is extracted, and its checkpoint is kept by hand, in one call: what is kept by hand is "
        "another thing, so give it another name"
    )
