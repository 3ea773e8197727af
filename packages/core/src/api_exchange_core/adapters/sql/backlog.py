"""What waits in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, func, select
from typing_extensions import override

from api_exchange_core.adapters.sql.across_tenants import reading
from api_exchange_core.adapters.sql.schema import outbox, queue
from api_exchange_core.ports.backlog import Backlog, Waiting, WaitingMessages
from api_exchange_core.ports.queue_inspector import QueueInspector

MOST: Final = 100_000
"""Largest number that is counted to: beyond it nobody cares, and counting takes its time. The oldest of a longer queue
is the oldest of those that were counted."""


@dataclass(frozen=True, slots=True)
class SqlBacklog(Backlog):
    """Counts the queues' and the outbox's due rows.

    Args:
        engine: of the database.
    """

    engine: Engine

    @override
    def messages(self, *, now: datetime) -> Sequence[WaitingMessages]:
        names = _names()
        some = (
            select(queue.c.visible_at)
            .where(queue.c.queue == names.c.name, queue.c.visible_at <= now)
            .order_by(
                queue.c.tenant_id, queue.c.visible_at
            )  # along the index, and no further than is counted
            .limit(MOST)
            .correlate(names)
            .subquery()
        )
        asked = (
            select(
                names.c.name,
                select(func.min(some.c.visible_at)).correlate(names).scalar_subquery().label("since"),
                select(func.count()).select_from(some).correlate(names).scalar_subquery().label("number"),
            )
            .where(names.c.name.is_not(None))
            .order_by(names.c.name)
        )
        with reading(self.engine) as connection:
            rows = connection.execute(asked).all()
        return [
            WaitingMessages(queue=row.name, count=row.number, since=row.since)
            for row in rows
            if row.number > 0
        ]

    @override
    def effects(self, *, now: datetime) -> Waiting | None:
        return _effects_due(self.engine, now)


@dataclass(frozen=True, slots=True)
class BacklogOfQueuesElsewhere(Backlog):
    """The outbox's due rows, and what is in queues of another system, which does not tell for how long.

    Args:
        engine: of the database that has the outbox.
        queues: counts messages, those that are delayed or in somebody's hands included.
    """

    engine: Engine
    queues: QueueInspector

    @override
    def messages(self, *, now: datetime) -> Sequence[WaitingMessages]:
        depths = self.queues.depths()
        return [WaitingMessages(queue=name, count=depths[name], since=None) for name in sorted(depths)]

    @override
    def effects(self, *, now: datetime) -> Waiting | None:
        return _effects_due(self.engine, now)


def _effects_due(engine: Engine, now: datetime) -> Waiting | None:
    """The rows of the outbox that are due; None if there are none."""
    due = select(outbox.c.due_at).where(outbox.c.due_at <= now).order_by(outbox.c.due_at).limit(MOST)
    waiting = due.subquery()
    with reading(engine) as connection:
        row = connection.execute(
            select(func.count().label("number"), func.min(waiting.c.due_at).label("since")).select_from(
                waiting
            )
        ).one()
    return None if row.number == 0 else Waiting(count=row.number, since=row.since)


def _names() -> Any:
    """The names of the queues that have messages, one lookup a name. The row of None ends it."""
    first = select(func.min(queue.c.queue).label("name")).cte("names", recursive=True)
    following = select(func.min(queue.c.queue)).where(queue.c.queue > first.c.name).scalar_subquery()
    return first.union_all(select(following).where(first.c.name.is_not(None)))
