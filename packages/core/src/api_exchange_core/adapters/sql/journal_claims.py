"""Claims on the journal's rows: taken, renewed, ended and declared lost, each in one statement for a batch.

Rows come sorted by function and message, so that no two transactions wait for each other's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, null, or_, update

from api_exchange_core.adapters.sql.look_up import LookUp
from api_exchange_core.adapters.sql.many_rows import ForEachRow, Insert, InsertRowsReturning, Kinds
from api_exchange_core.adapters.sql.many_rows import Row as Columns
from api_exchange_core.adapters.sql.schema import journal
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import Claim, ProcessingState, Standing

_KEY: Final = ("tenant_id", "function", "message_id")
_RUNNING: Final = ProcessingState.RUNNING.value
_FREE: Final = (ProcessingState.RETRYING.value, ProcessingState.DEAD.value)
_OF_AN_END: Final = ("state", "attempts", "started_at", "finished_at", "fingerprint")
_DECLARED: Final = {
    OnLost.HOLD: ProcessingState.HELD.value,
    OnLost.DEAD_LETTER: ProcessingState.GIVEN_UP.value,
}


def _kinds(*names: str) -> Kinds:
    return {name: journal.c[name].type for name in (*_KEY, *names)}


def _is_row(row: Columns) -> tuple[Any, ...]:
    return tuple(journal.c[name] == row[name] for name in _KEY)


def _claiming(*, take_over: bool) -> InsertRowsReturning:
    def finish(insert: Insert) -> Any:
        given = insert.excluded
        free = or_(*(journal.c.state == state for state in _FREE))
        ran_out = (journal.c.state == _RUNNING) & (journal.c.leased_until <= given.started_at)
        kept = ("attempts", "correlation_id", "causation_id", "entity_id", "started_at", "finished_at")
        taken = {name: given[name] for name in (*kept, "state", "leased_until")}
        return insert.on_conflict_do_update(
            index_elements=_KEY,
            set_={**taken, "fence": journal.c.fence + 1, "fingerprint": null()},
            where=or_(free, ran_out) if take_over else free,
        ).returning(journal.c.message_id, journal.c.fence)

    return InsertRowsReturning(journal, finish)


_TAKE = _claiming(take_over=False)
_TAKE_OR_TAKE_OVER = _claiming(take_over=True)

_DECLARE_LOST = ForEachRow(
    _kinds("state", "started_at"),
    lambda row: (
        update(journal)
        .where(*_is_row(row), journal.c.state == _RUNNING, journal.c.leased_until <= row["started_at"])
        .values(state=row["state"], leased_until=null())
    ),
)

_RENEW = ForEachRow(
    _kinds("fence", "leased_until"),
    lambda row: (
        update(journal)
        .where(*_is_row(row), journal.c.state == _RUNNING, journal.c.fence == row["fence"])
        .values(leased_until=row["leased_until"])
    ),
)


_END = ForEachRow(
    _kinds(*_OF_AN_END, "fence"),
    lambda row: (
        update(journal)
        .where(*_is_row(row), journal.c.state == _RUNNING, journal.c.fence == row["fence"])
        .values(**{name: row[name] for name in _OF_AN_END}, leased_until=null())
    ),
)

_DECIDE = ForEachRow(
    _kinds("state"), lambda row: update(journal).where(*_is_row(row)).values(state=row["state"])
)


def _look_up(*, lock: bool) -> LookUp:
    return LookUp(
        (journal.c.message_id, journal.c.state, journal.c.fence, journal.c.leased_until),
        key=journal.c.message_id,
        where=(
            journal.c.tenant_id == bindparam("tenant_id"),
            journal.c.function == bindparam("function_name"),
        ),
        lock=lock,
    )


_STANDING = _look_up(lock=False)
_STANDING_LOCKED = _look_up(lock=True)


def claim(
    connection: Connection, rows: Sequence[dict[str, Any]], *, on_lost: OnLost
) -> Mapping[MessageId, Standing]:
    """Claim *rows*, of one tenant and function, where that is possible; how each stands then."""
    if on_lost in _DECLARED:
        _DECLARE_LOST.run(connection, [{**_part(row), "state": _DECLARED[on_lost]} for row in rows])
    taking = _TAKE_OR_TAKE_OVER if on_lost is OnLost.RERUN else _TAKE
    taken = taking.run_for_all(connection, [{**row, "fence": 1} for row in rows])
    fences = {row.message_id: row.fence for row in taken}
    standings = {
        row["message_id"]: Standing(
            taken=True,
            state=ProcessingState.RUNNING,
            fence=fences[row["message_id"]],
            leased_until=row["leased_until"],
        )
        for row in rows
        if row["message_id"] in fences
    }
    others = [row["message_id"] for row in rows if row["message_id"] not in fences]
    if others:
        found = _standing(connection, rows[0]["tenant_id"], rows[0]["function"], others)
        standings |= {
            message_id: Standing(
                taken=False,
                state=ProcessingState(row.state),
                fence=row.fence,
                leased_until=row.leased_until,
            )
            for message_id, row in found.items()
        }
    return standings


def renew(
    connection: Connection, tenant_id: TenantId, claims: Sequence[Claim], *, until: datetime
) -> frozenset[MessageId]:
    """Prolong the leases of *claims*, of one function; the messages whose claim is lost."""
    rows = [
        {
            "tenant_id": tenant_id,
            "function": one.function,
            "message_id": one.message_id,
            "fence": one.fence,
            "leased_until": until,
        }
        for one in sorted(claims, key=lambda one: one.message_id)
    ]
    if _RENEW.run(connection, rows) == len(rows):
        return frozenset()
    found = _standing(connection, tenant_id, claims[0].function, [one.message_id for one in claims])
    return frozenset(one.message_id for one in claims if not _holds(one.fence, found.get(one.message_id)))


def end(connection: Connection, rows: Sequence[dict[str, Any]]) -> bool:
    """Write how the claims of *rows* ended; whether all of them stood."""
    return _END.run(connection, rows) == len(rows)


def fail(connection: Connection, rows: Sequence[dict[str, Any]]) -> frozenset[MessageId]:
    """Write that *rows*, of one tenant and function, failed, as far as their claims stand; those that were written."""
    ids = [row["message_id"] for row in rows]
    found = _standing(connection, rows[0]["tenant_id"], rows[0]["function"], ids, lock=True)
    ours = [row for row in rows if _holds(row["fence"], found.get(row["message_id"]))]
    if ours:
        _END.run(connection, ours)
    return frozenset(row["message_id"] for row in ours)


def decide(
    connection: Connection,
    tenant_id: TenantId,
    function: FunctionName,
    message_ids: Collection[MessageId],
    *,
    before: Collection[ProcessingState],
    after: ProcessingState,
) -> frozenset[MessageId]:
    """Bring those of *message_ids* that are in a state of *before* into *after*; which these were."""
    found = _standing(connection, tenant_id, function, message_ids, lock=True)
    decided = sorted(id_ for id_, row in found.items() if row.state in before)
    key = {"tenant_id": tenant_id, "function": function, "state": after.value}
    if decided:
        _DECIDE.run(connection, [{**key, "message_id": id_} for id_ in decided])
    return frozenset(decided)


def _standing(
    connection: Connection,
    tenant_id: TenantId,
    function: FunctionName,
    message_ids: Collection[MessageId],
    *,
    lock: bool = False,
) -> dict[MessageId, Row[*tuple[Any, ...]]]:
    look_up = _STANDING_LOCKED if lock else _STANDING
    rows = look_up.run(connection, message_ids, tenant_id=tenant_id, function_name=function)
    return {row.message_id: row for row in rows}


def _holds(fence: int, row: Row[*tuple[Any, ...]] | None) -> bool:
    return row is not None and bool(row.state == _RUNNING and row.fence == fence)


def _part(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in (*_KEY, "started_at")}
