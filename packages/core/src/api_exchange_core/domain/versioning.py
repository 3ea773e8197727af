"""Applying changes to the heads that were read: which versions come to be, decided in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from api_exchange_core.domain.entity import EntityChange, EntityHead, Persisted, PersistOutcome
from api_exchange_core.domain.names import EntityId


@dataclass(frozen=True, slots=True)
class HeadWrite:
    """A head to be written on top of the version that was read.

    Args:
        head: as it is to be.
        replaces: the version that the stored head must still have; 0 if there must be none.
    """

    head: EntityHead
    replaces: int


@dataclass(slots=True)
class Versioning:
    """Takes changes one after the other, each on top of what the ones before have made of its entity.

    Args:
        stored: the heads as they were read; a missing one is an entity that does not exist.
        now: the time that new heads carry.
    """

    stored: Mapping[EntityId, EntityHead]
    now: datetime
    _heads: dict[EntityId, EntityHead] = field(default_factory=dict)

    def apply(self, change: EntityChange) -> Persisted:
        """What *change* comes to."""
        head = self._heads.get(change.id, self.stored.get(change.id))
        outcome = change.outcome_on(head)
        if outcome.wrote_version:
            head = self._heads[change.id] = change.applied_to(head, now=self.now)
        elif outcome is PersistOutcome.UNCHANGED and head is not None and change.is_newer_than(head):
            # No version, but what the source sends later must not be older than this.
            head = self._heads[change.id] = replace(head, source_version=change.source_version)
        return Persisted(change, outcome, 0 if head is None else head.version)

    @property
    def writes(self) -> Sequence[HeadWrite]:
        """The heads that have changed, in the order of their ids.

        One order everywhere, so that no two writers wait for each other's rows.
        """
        return [HeadWrite(self._heads[id_], self._stored_version(id_)) for id_ in sorted(self._heads)]

    def _stored_version(self, id_: EntityId) -> int:
        stored = self.stored.get(id_)
        return 0 if stored is None else stored.version
