"""Failed attempts in a table."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from typing_extensions import override

from api_exchange_core.adapters.sql.many_rows import InsertRows
from api_exchange_core.adapters.sql.schema import errors
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import MessageId
from api_exchange_core.ports.error_log import ErrorEntry, ErrorLog

_ADD = InsertRows(errors, without=("id",))


class SqlErrorLog(ErrorLog):
    """The failed attempts of a transaction's tenant."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    def add(self, entries: Sequence[ErrorEntry]) -> None:
        if not entries:
            return
        with self._transaction.writing() as connection:
            _ADD.run(connection, [self._row(entry) for entry in entries])

    @override
    def of_message(self, message_id: MessageId) -> Sequence[ErrorEntry]:
        wanted = (
            select(errors)
            .where(errors.c.tenant_id == self._transaction.tenant_id, errors.c.message_id == message_id)
            .order_by(errors.c.occurred_at, errors.c.id)
        )
        with self._transaction.reading() as connection:
            rows = connection.execute(wanted).all()
        return [
            ErrorEntry(
                function=row.function,
                message_id=row.message_id,
                correlation_id=row.correlation_id,
                attempt=row.attempt,
                problem=Problem(
                    code=row.code,
                    reason=row.reason,
                    fingerprint=row.fingerprint,
                    permanent=row.permanent,
                    retry_after=row.retry_after,
                    defer=row.defer,
                ),
                stack=row.stack,
                occurred_at=row.occurred_at,
            )
            for row in rows
        ]

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
        }


def _storable(stack: str) -> str:
    # A file name that is no UTF-8 reaches Python with lone surrogates, which no database stores.
    return stack.encode("utf-8", "replace").decode()
