"""The statements that find whose messages are visible, and hand out a share of each tenant's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import (
    JSON,
    CompoundSelect,
    Connection,
    Integer,
    Row,
    Select,
    Text,
    bindparam,
    column,
    exists,
    func,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.sql.dml import ReturningUpdate

from api_exchange_core.adapters.sql.schema import queue
from api_exchange_core.adapters.sql.turns import MOST_SEEN, Lane
from api_exchange_core.domain.names import QueueName

_SHARES: Final = "shares_"

_candidate = queue.alias("candidate")
_older = queue.alias("older")


def lanes(connection: Connection, queue_name: QueueName, *, after: str, now: datetime) -> Sequence[Lane]:
    """The lanes of a queue that have visible messages and come after *after*; at most `MOST_SEEN`."""
    given = {"queue_name": queue_name, "after": after, "now": now, "most": MOST_SEEN}
    return connection.execute(_LANES, given).scalars().all()


def hand_out(
    connection: Connection, shares: Mapping[Lane, int], given: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """Hand out of each lane as many visible messages as its share says, those that are visible for the longest.

    Args:
        connection: of a transaction of its own, which is to end at once.
        shares: how many of each lane.
        given: ``queue_name``, ``now``, and what is written into the rows: ``until`` and ``token``.
    """
    known = {lane: share for lane, share in shares.items() if lane is not None}
    rows: list[Row[Any]] = []
    if len(known) > 1 and connection.dialect.name == "postgresql":
        text = orjson.dumps([{"tenant_id": lane, "share": share} for lane, share in known.items()]).decode()
        rows += connection.execute(_FROM_MANY, {**given, _SHARES: text, "most": sum(known.values())})
    else:
        for lane, share in known.items():
            rows += connection.execute(_FROM_ONE, {**given, "tenant": lane, "share": share})
    if None in shares:
        rows += connection.execute(_FROM_UNKNOWN, {**given, "share": shares[None]})
    return rows


def _all_lanes() -> CompoundSelect[Any]:
    """One look into the index a tenant, however many messages it has: from each tenant to the next."""
    in_queue = queue.c.queue == bindparam("queue_name")
    is_visible = queue.c.visible_at <= bindparam("now")
    after = bindparam("after", type_=Text)
    lane = select(sql_cast(after, Text).label("tenant_id")).cte("lane", recursive=True)
    following = (
        select(sql_cast(queue.c.tenant_id, Text))
        .where(in_queue, queue.c.tenant_id > lane.c.tenant_id)
        .order_by(queue.c.tenant_id)
        .limit(1)
    )
    lane = lane.union_all(select(following.scalar_subquery()).where(lane.c.tenant_id.is_not(None)))
    # Its first message, and not EXISTS, which PostgreSQL may plan as a hash join: that would lose the tenants' order.
    first_visible_at = (
        select(queue.c.visible_at)
        .where(in_queue, queue.c.tenant_id == lane.c.tenant_id)
        .order_by(queue.c.visible_at)
        .limit(1)
        .scalar_subquery()
    )
    of_lane = first_visible_at <= bindparam("now")
    of_nobody = exists().where(in_queue, queue.c.tenant_id.is_(None), is_visible)
    return (
        select(lane.c.tenant_id)
        .where(lane.c.tenant_id > after, of_lane)
        .union_all(select(sql_cast(null(), Text)).where(of_nobody))
        .limit(bindparam("most", type_=Integer))
    )


def _picked() -> Select[Any]:
    """Visible messages of a queue that no unsettled one of their ordering key is ahead of."""
    return (
        select(_candidate.c.id)
        .where(
            _candidate.c.queue == bindparam("queue_name"),
            _candidate.c.visible_at <= bindparam("now"),
            or_(
                _candidate.c.ordering_key.is_(None),
                ~exists().where(
                    _older.c.queue == _candidate.c.queue,
                    _older.c.tenant_id == _candidate.c.tenant_id,
                    _older.c.ordering_key == _candidate.c.ordering_key,
                    _older.c.id < _candidate.c.id,
                ),
            ),
        )
        .order_by(_candidate.c.visible_at, _candidate.c.id)
        .with_for_update(skip_locked=True, of=_candidate)
    )


def _picked_from_each() -> Select[Any]:
    """As many of each lane as the JSON parameter says, each found in the index (LATERAL)."""
    given = (
        func.json_to_recordset(sql_cast(bindparam(_SHARES, type_=Text), JSON))
        .table_valued(column("tenant_id", Text), column("share", Integer))
        .render_derived(name="given", with_types=True)
    )
    its_share = (
        _picked().where(_candidate.c.tenant_id == given.c.tenant_id).limit(given.c.share).lateral("its_share")
    )
    # The limit leaves nothing out. It is how the planner hears of the number: it would take it for thousands, and
    # rather read the whole table than look each row up.
    most = bindparam("most", type_=Integer)
    return select(its_share.c.id).join_from(given, its_share, true()).limit(most)


def _handing_out(picked: Select[Any]) -> ReturningUpdate[Any]:
    # Picked apart from the UPDATE, or PostgreSQL might plan a join that picks anew for each row and takes too many.
    ids = picked.cte("picked")
    return (
        update(queue)
        .where(queue.c.id == ids.c.id)
        .values(
            receive_count=queue.c.receive_count + 1,
            visible_at=bindparam("until"),
            receipt=bindparam("token", type_=Text),
        )
        .returning(queue.c.id, queue.c.tenant_id, queue.c.body, queue.c.receive_count, queue.c.enqueued_at)
    )


_LANES: Final = _all_lanes()
_share = bindparam("share", type_=Integer)
_FROM_ONE: Final = _handing_out(_picked().where(_candidate.c.tenant_id == bindparam("tenant")).limit(_share))
_FROM_UNKNOWN: Final = _handing_out(_picked().where(_candidate.c.tenant_id.is_(None)).limit(_share))
_FROM_MANY: Final = _handing_out(_picked_from_each())
