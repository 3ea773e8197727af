"""The outbox as the relay sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    Engine,
    Integer,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from typing_extensions import override

from api_exchange_core.adapters.sql.across_tenants import reading, writing, writing_once
from api_exchange_core.adapters.sql.many_rows import ForEachRow
from api_exchange_core.adapters.sql.outbox import effect_of
from api_exchange_core.adapters.sql.schema import outbox
from api_exchange_core.ports.outbox import OutboxBacklog, OutboxRelaySource, OutboxRow

_CLAIMING: Final = 0x6170_695F_7278  # of PostgreSQL's advisory locks; a number of our own

_waiting = outbox.alias("waiting")
_older = outbox.alias("older")

_is_free = and_(
    _waiting.c.due_at <= bindparam("now"),
    or_(_waiting.c.claimed_until.is_(None), _waiting.c.claimed_until <= bindparam("now")),
)

_ANY_FREE = select(literal(1)).select_from(_waiting).where(_is_free).limit(1)

_PICKED = (
    select(_waiting.c.id)
    .where(
        _is_free,
        or_(
            _waiting.c.ordering_key.is_(None),
            ~exists().where(
                _older.c.tenant_id == _waiting.c.tenant_id,
                _older.c.name == _waiting.c.name,
                _older.c.ordering_key == _waiting.c.ordering_key,
                _older.c.id < _waiting.c.id,
                _older.c.attempts == 0,
                or_(_older.c.claimed_until > bindparam("now"), _older.c.due_at > _waiting.c.due_at),
            ),
        ),
    )
    .order_by(_waiting.c.due_at, _waiting.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True, of=_waiting)
    .cte("picked")
)

_CLAIM = (
    update(outbox)
    .where(outbox.c.id == _PICKED.c.id)
    .values(claimed_until=bindparam("until"))
    .returning(
        outbox.c.id,
        outbox.c.tenant_id,
        outbox.c.kind,
        outbox.c.name,
        outbox.c.message_id,
        outbox.c.body,
        outbox.c.delay,
        outbox.c.ordering_key,
        outbox.c.properties,
        outbox.c.attempts,
    )
)

_TAKE_OFF = ForEachRow({"id": outbox.c.id.type}, lambda row: delete(outbox).where(outbox.c.id == row["id"]))


_POSTPONE = ForEachRow(
    {"id": outbox.c.id.type, "due_at": outbox.c.due_at.type},
    lambda row: (
        update(outbox)
        .where(outbox.c.id == row["id"])
        .values(due_at=row["due_at"], claimed_until=null(), attempts=outbox.c.attempts + 1)
    ),
)

_BACKLOG = select(
    func.count(),
    func.count().filter(outbox.c.attempts > 0),
    func.min(outbox.c.due_at).filter(outbox.c.attempts == 0, outbox.c.due_at <= bindparam("now")),
).select_from(outbox)


@dataclass(frozen=True, slots=True)
class SqlOutboxRelaySource(OutboxRelaySource):
    """The outbox of a database, across tenants.

    One relay claims at a time, or one could pass by the older row of an ordering key that another is just claiming,
    and take the younger one. A relay that finds nothing due waits for nobody.
    """

    engine: Engine

    @override
    def claim(self, *, now: datetime, limit: int, lease: timedelta) -> Sequence[OutboxRow]:
        with reading(self.engine) as connection:
            if connection.execute(_ANY_FREE, {"now": now}).first() is None:
                return ()
        with writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_CLAIMING)))
            rows = connection.execute(_CLAIM, {"now": now, "most": limit, "until": now + lease}).all()
        return [
            OutboxRow(row.id, effect_of(row), row.attempts) for row in sorted(rows, key=lambda row: row.id)
        ]

    @override
    def sent(self, ids: Sequence[int]) -> None:
        if ids:
            with writing_once(self.engine) as connection:
                _TAKE_OFF.run(connection, [{"id": id_} for id_ in ids])

    @override
    def postpone(self, ids: Sequence[int], *, until: datetime) -> None:
        if ids:
            with writing_once(self.engine) as connection:
                _POSTPONE.run(connection, [{"id": id_, "due_at": until} for id_ in ids])

    @override
    def backlog(self, *, now: datetime) -> OutboxBacklog:
        with reading(self.engine) as connection:
            waiting, stuck, due_since = connection.execute(_BACKLOG, {"now": now}).one()
        return OutboxBacklog(waiting=waiting, stuck=stuck, lag=None if due_since is None else now - due_since)

    @override
    def pending(self) -> int:
        with reading(self.engine) as connection:
            return connection.execute(select(func.count()).select_from(outbox)).scalar_one()
