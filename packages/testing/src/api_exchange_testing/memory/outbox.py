"""The outbox in memory: as part of a unit of work, and as the relay sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from typing_extensions import override

from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import Outbox, OutboxBacklog, OutboxRelaySource, OutboxRow, OutgoingLine
from api_exchange_testing.memory.outgoing import kept

DUE_AFTER = timedelta(seconds=30)
"""How long the relay leaves a row to the unit of work that committed it."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A row, and who may carry it out when."""

    row: OutboxRow
    due_at: datetime
    claimed_until: datetime = _NEVER

    @property
    def is_stuck(self) -> bool:
        """Whether it has been postponed."""
        return self.row.attempts > 0


@dataclass(slots=True)
class OutboxRows:
    """The committed rows of all tenants, by id."""

    waiting: dict[int, _Waiting] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))


class InMemoryOutbox(Outbox):
    """The effects of one unit of work.

    Args:
        rows: the committed ones.
        changed: guards *rows*.
        queues_here: messages go straight into the queues at the commit, and no row is made of them.
    """

    def __init__(self, rows: OutboxRows, changed: threading.Condition, *, queues_here: bool) -> None:
        self._rows = rows
        self._changed = changed
        self._queues_here = queues_here
        self._staged: list[_Waiting] = []
        self.to_enqueue: list[Outgoing] = []

    @override
    def add(self, effects: Sequence[Outgoing | OutgoingLine], *, now: datetime) -> Sequence[OutboxRow]:
        added = []
        for effect in effects:
            if self._queues_here and isinstance(effect, Outgoing):
                self.to_enqueue.append(effect)
            else:
                added.append(OutboxRow(next(self._rows.ids), _kept(effect)))
        self._staged += [_Waiting(row, now + DUE_AFTER) for row in added]
        return added

    def apply(self) -> None:
        """Commit; to be called with the store's lock held."""
        self._rows.waiting.update({one.row.id: one for one in self._staged})


class InMemoryOutboxRelaySource(OutboxRelaySource):
    """The rows that wait, of all tenants.

    Args:
        rows: the committed ones.
        changed: guards *rows*.
    """

    def __init__(self, rows: OutboxRows, changed: threading.Condition) -> None:
        self._rows = rows
        self._changed = changed

    @override
    def claim(self, *, now: datetime, limit: int, lease: timedelta) -> Sequence[OutboxRow]:
        with self._changed:
            claimed = list(self._due(now))[:limit]
            for one in claimed:
                self._rows.waiting[one.row.id] = replace(one, claimed_until=now + lease)
        return [one.row for one in claimed]

    @override
    def sent(self, ids: Sequence[int]) -> None:
        with self._changed:
            for id_ in ids:
                self._rows.waiting.pop(id_, None)

    @override
    def postpone(self, ids: Sequence[int], *, until: datetime) -> None:
        with self._changed:
            for one in [self._rows.waiting[id_] for id_ in ids if id_ in self._rows.waiting]:
                row = replace(one.row, attempts=one.row.attempts + 1)
                self._rows.waiting[row.id] = _Waiting(row, due_at=until)

    @override
    def backlog(self, *, now: datetime) -> OutboxBacklog:
        with self._changed:
            rows = list(self._rows.waiting.values())
        lags = [now - one.due_at for one in rows if one.due_at <= now and not one.is_stuck]
        stuck = sum(one.is_stuck for one in rows)
        return OutboxBacklog(waiting=len(rows), stuck=stuck, lag=max(lags, default=None))

    @override
    def pending(self) -> int:
        with self._changed:
            return len(self._rows.waiting)

    def waiting(self) -> Sequence[OutboxRow]:
        """The rows that wait, oldest first, whether due or not."""
        with self._changed:
            return [one.row for _, one in sorted(self._rows.waiting.items())]

    def next_due_at(self, *, stuck: bool = True) -> datetime | None:
        """When the next row can be claimed; None if there is none.

        Args:
            stuck: rows that have been postponed count as well.
        """
        with self._changed:
            rows = [one for one in self._rows.waiting.values() if stuck or not one.is_stuck]
        return min((max(one.due_at, one.claimed_until) for one in rows), default=None)

    def _due(self, now: datetime) -> Iterator[_Waiting]:
        held_up = set()
        for _, one in sorted(self._rows.waiting.items()):
            group = _group(one.row.effect)
            if group in held_up:
                continue
            if one.due_at <= now and one.claimed_until <= now:
                yield one
            elif group is not None and not one.is_stuck:
                held_up.add(group)


def _group(effect: Outgoing | OutgoingLine) -> tuple[str, str, str] | None:
    """What the order of an effect is kept within."""
    if isinstance(effect, OutgoingLine) or effect.ordering_key is None:
        return None
    return effect.queue, effect.tenant_id, effect.ordering_key


def _kept(effect: Outgoing | OutgoingLine) -> Outgoing | OutgoingLine:
    return kept(effect) if isinstance(effect, Outgoing) else effect
