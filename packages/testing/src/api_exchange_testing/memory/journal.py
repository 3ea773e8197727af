"""The journal in memory, as part of a unit of work."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from typing_extensions import override

from api_exchange_core.domain.errors import ClaimLostError, LostRaceError, TransientError
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId
from api_exchange_core.ports.journal import Claim, Journal, JournalEntry, ProcessingState, Standing

_Key = tuple[FunctionName, MessageId]

JournalRows = dict[_Key, JournalEntry]
"""The committed entries of one tenant."""

_FREE = (ProcessingState.RETRYING, ProcessingState.DEAD)
_DECLARED = {OnLost.HOLD: ProcessingState.HELD, OnLost.DEAD_LETTER: ProcessingState.GIVEN_UP}


class InMemoryJournal(Journal):
    """What is committed, with the entries of one unit of work over it.

    Args:
        rows: the tenant's committed rows.
        changed: guards *rows*.
    """

    def __init__(self, rows: JournalRows, changed: threading.Condition) -> None:
        self._rows = rows
        self._changed = changed
        self._staged: JournalRows = {}
        self._expected: dict[_Key, tuple[object, ...]] = {}  # of the committed row, for it to be replaced
        self._failed = False

    @override
    def completed(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        with self._changed:
            return frozenset(id_ for id_ in message_ids if _is_completed(self._at((function, id_))))

    @override
    def claim(self, entries: Sequence[JournalEntry], *, on_lost: OnLost) -> Mapping[MessageId, Standing]:
        with self._changed:
            return {entry.message_id: self._claimed(entry, on_lost) for entry in entries}

    @override
    def renew(self, claims: Sequence[Claim], *, until: datetime) -> frozenset[MessageId]:
        lost = set()
        with self._changed:
            for claim in claims:
                standing = self._at((claim.function, claim.message_id))
                if standing is not None and _holds(claim.fence, standing):
                    self._stage(replace(standing, leased_until=until), whoever_renews=True)
                else:
                    lost.add(claim.message_id)
        return frozenset(lost)

    @override
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        accepted = set()
        with self._changed:
            for entry in entries:
                if entry.fence:
                    self._complete_claimed(entry)
                elif self._is_completed(entry):
                    continue
                else:
                    self._staged[_key(entry)] = self._with_old_fence(entry)
                accepted.add(entry.message_id)
        return frozenset(accepted)

    @override
    def fail(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        recorded = set()
        with self._changed:
            for entry in entries:
                standing = self._at(_key(entry))
                if entry.fence and standing is not None and _holds(entry.fence, standing):
                    self._stage(replace(entry, leased_until=None), whoever_renews=True)
                elif not entry.fence and not self._is_completed(entry):
                    self._staged[_key(entry)] = self._with_old_fence(entry)
                else:
                    continue
                recorded.add(entry.message_id)
        return frozenset(recorded)

    @override
    def held(self, *, limit: int) -> Sequence[JournalEntry]:
        with self._changed:
            entries = {**self._rows, **self._staged}.values()
        held = [one for one in entries if one.state is ProcessingState.HELD]
        return sorted(held, key=lambda one: (one.started_at, one.function, one.message_id))[:limit]

    @override
    def release(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        before = (ProcessingState.HELD, ProcessingState.GIVEN_UP)
        return self._decide(function, message_ids, before=before, after=ProcessingState.RETRYING)

    @override
    def give_up(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        before = (ProcessingState.HELD,)
        return self._decide(function, message_ids, before=before, after=ProcessingState.GIVEN_UP)

    @override
    def trace(self, correlation_id: str) -> Sequence[JournalEntry]:
        with self._changed:
            entries = {**self._rows, **self._staged}.values()
        return sorted(
            (one for one in entries if one.correlation_id == correlation_id), key=lambda one: one.started_at
        )

    def check(self) -> None:
        """Return if what is to be written can be committed; to be called with the store's lock held.

        Raises:
            LostRaceError: another unit of work has completed a message that this one completes, or has changed a
                claim that this one changes.
            TransientError: a claim was lost.
        """
        if self._failed:
            raise TransientError("a claim of this unit of work was lost, and the rest cannot be committed")
        for key, expected in self._expected.items():
            if _stamp(self._rows.get(key))[: len(expected)] != expected:
                raise LostRaceError(f"the claim of message {key[1]!r} was changed by another unit of work")
        for key, entry in self._staged.items():
            if key not in self._expected and _is_completed(entry) and _is_completed(self._rows.get(key)):
                raise LostRaceError(f"message {entry.message_id!r} was completed by another unit of work")

    def apply(self) -> None:
        """Commit what `check` has let through, under the same hold of the lock."""
        self._rows.update(
            {key: entry for key, entry in self._staged.items() if not _is_completed(self._rows.get(key))}
        )

    def _claimed(self, entry: JournalEntry, on_lost: OnLost) -> Standing:
        standing = self._at(_key(entry))
        ran_out = standing is not None and _ran_out(standing, at=entry.started_at)
        if standing is not None and ran_out and on_lost in _DECLARED:
            standing = replace(standing, state=_DECLARED[on_lost], leased_until=None)
            self._stage(standing)
        taken = standing is None or standing.state in _FREE or (ran_out and on_lost is OnLost.RERUN)
        if standing is None or taken:
            standing = replace(entry, fence=1 if standing is None else standing.fence + 1)
            self._stage(standing)
        return Standing(
            taken=taken, state=standing.state, fence=standing.fence, leased_until=standing.leased_until
        )

    def _complete_claimed(self, entry: JournalEntry) -> None:
        standing = self._at(_key(entry))
        if standing is None or not _holds(entry.fence, standing):
            self._failed = True
            raise ClaimLostError(
                f"the claim of message {entry.message_id!r} (fence {entry.fence}) is not the newest any more"
            )
        self._stage(replace(entry, leased_until=None), whoever_renews=True)

    def _decide(
        self,
        function: FunctionName,
        message_ids: Collection[MessageId],
        *,
        before: Collection[ProcessingState],
        after: ProcessingState,
    ) -> frozenset[MessageId]:
        decided = set()
        with self._changed:
            for message_id in message_ids:
                standing = self._at((function, message_id))
                if standing is not None and standing.state in before:
                    self._stage(replace(standing, state=after))
                    decided.add(message_id)
        return frozenset(decided)

    def _at(self, key: _Key) -> JournalEntry | None:
        return self._staged.get(key, self._rows.get(key))

    def _stage(self, entry: JournalEntry, *, whoever_renews: bool = False) -> None:
        """Write *entry*, if the committed row is still in the same claim, and unless *whoever_renews* not renewed."""
        key = _key(entry)
        stamp = _stamp(self._rows.get(key))
        self._expected.setdefault(key, stamp[:2] if whoever_renews else stamp)
        self._staged[key] = entry

    def _with_old_fence(self, entry: JournalEntry) -> JournalEntry:
        standing = self._at(_key(entry))
        return entry if standing is None else replace(entry, fence=standing.fence)

    def _is_completed(self, entry: JournalEntry) -> bool:
        key = _key(entry)
        return _is_completed(self._rows.get(key)) or _is_completed(self._staged.get(key))


def _key(entry: JournalEntry) -> _Key:
    return entry.function, entry.message_id


def _stamp(row: JournalEntry | None) -> tuple[object, ...]:
    return (None, None, None) if row is None else (row.state, row.fence, row.leased_until)


def _is_completed(entry: JournalEntry | None) -> bool:
    return entry is not None and entry.state is ProcessingState.COMPLETED


def _ran_out(standing: JournalEntry, *, at: datetime) -> bool:
    return (
        standing.state is ProcessingState.RUNNING
        and standing.leased_until is not None
        and standing.leased_until <= at
    )


def _holds(fence: int, standing: JournalEntry) -> bool:
    return standing.state is ProcessingState.RUNNING and standing.fence == fence
