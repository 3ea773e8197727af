"""Failed attempts in a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, case, select
from typing_extensions import override

from api_exchange_core.adapters.sql.many_rows import Insert, InsertRows
from api_exchange_core.adapters.sql.schema import error_groups, errors
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import FunctionName, MessageId
from api_exchange_core.ports.error_groups import GroupState
from api_exchange_core.ports.error_log import ErrorEntry, ErrorLog

_ADD = InsertRows(errors, without=("id",))

_OF_NEWEST: Final = ("function", "operation", "code", "reason", "stack", "message_id")


def _counted(insert: Insert) -> Insert:
    new, old = insert.excluded, error_groups.c
    newer = new.last_seen >= old.last_seen
    back = (old.state == GroupState.RESOLVED.value) & (new.last_seen > old.resolved_at)
    return insert.on_conflict_do_update(
        index_elements=("tenant_id", "fingerprint"),
        set_={
            "attempts": old.attempts + new.attempts,
            "first_seen": case((new.first_seen < old.first_seen, new.first_seen), else_=old.first_seen),
            "last_seen": case((newer, new.last_seen), else_=old.last_seen),
            "state": case((back, GroupState.REGRESSED.value), else_=old.state),
            **{name: case((newer, new[name]), else_=old[name]) for name in _OF_NEWEST},
        },
    )


_COUNT = InsertRows(error_groups, _counted, without=("resolved_at", "resolved_by"))


class SqlErrorLog(ErrorLog):
    """The failed attempts of a transaction's tenant."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    def add(self, entries: Sequence[ErrorEntry]) -> None:
        if not entries:
            return
        groups = defaultdict(list)
        for entry in entries:
            if entry.problem.defer is None:
                groups[entry.problem.fingerprint].append(entry)
        with self._transaction.writing() as connection:
            _ADD.run(connection, [self._row(entry) for entry in entries])
            if groups:
                # Last, since all workers write the group of an outage, and in one order, so that none waits in a ring.
                _COUNT.run(connection, [self._group(groups[fingerprint]) for fingerprint in sorted(groups)])

    @override
    def of_message(
        self, message_id: MessageId, *, function: FunctionName | None = None, newest: int | None = None
    ) -> Sequence[ErrorEntry]:
        wanted = (
            select(errors)
            .where(errors.c.tenant_id == self._transaction.tenant_id, errors.c.message_id == message_id)
            .order_by(errors.c.occurred_at.desc(), errors.c.id.desc())
            .limit(newest)
        )
        if function is not None:
            wanted = wanted.where(errors.c.function == function)
        with self._transaction.reading() as connection:
            rows = connection.execute(wanted).all()
        return [ErrorEntry(**fields_of(row)) for row in reversed(rows)]

    def _row(self, entry: ErrorEntry) -> dict[str, object]:
        problem = entry.problem
        return {
            "tenant_id": self._transaction.tenant_id,
            "function": entry.function,
            "message_id": entry.message_id,
            "correlation_id": entry.correlation_id,
            "attempt": entry.attempt,
            "code": problem.code,
            "reason": problem.reason,
            "fingerprint": problem.fingerprint,
            "permanent": problem.permanent,
            "retry_after": problem.retry_after,
            "defer": problem.defer,
            "stack": _storable(entry.stack),
            "occurred_at": entry.occurred_at,
            "operation": entry.operation,
            "queue": entry.queue,
        }

    def _group(self, entries: Sequence[ErrorEntry]) -> dict[str, object]:
        newest = self._row(max(entries, key=lambda entry: entry.occurred_at))
        return {name: newest[name] for name in ("tenant_id", "fingerprint", *_OF_NEWEST)} | {
            "attempts": len(entries),
            "first_seen": min(entry.occurred_at for entry in entries),
            "last_seen": newest["occurred_at"],
            "state": GroupState.OPEN.value,
        }


def fields_of(row: Row[Any]) -> dict[str, Any]:
    """The fields of the `ErrorEntry` that *row* of the table is."""
    return {
        "function": row.function,
        "message_id": row.message_id,
        "correlation_id": row.correlation_id,
        "attempt": row.attempt,
        "problem": Problem(
            code=row.code,
            reason=row.reason,
            fingerprint=row.fingerprint,
            permanent=row.permanent,
            retry_after=row.retry_after,
            defer=row.defer,
        ),
        "stack": row.stack,
        "occurred_at": row.occurred_at,
        "operation": row.operation,
        "queue": row.queue,
    }


def _storable(stack: str) -> str:
    # A file name that is no UTF-8 reaches Python with lone surrogates, which no database stores.
    return stack.encode("utf-8", "replace").decode()
