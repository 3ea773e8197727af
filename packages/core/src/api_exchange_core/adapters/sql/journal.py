"""The journal in a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, select
from typing_extensions import override

from api_exchange_core.adapters.sql.look_up import LookUp
from api_exchange_core.adapters.sql.many_rows import InsertRowsReturning
from api_exchange_core.adapters.sql.schema import journal
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.names import FunctionName, MessageId
from api_exchange_core.ports.journal import Journal, JournalEntry, ProcessingState

_KEY: Final = ("tenant_id", "function", "message_id")
_REST: Final = tuple(name for name in (column.name for column in journal.columns) if name not in _KEY)

_RECORD = InsertRowsReturning(
    journal,
    lambda insert: insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: insert.excluded[name] for name in _REST},
        where=journal.c.state != ProcessingState.COMPLETED.value,
    ).returning(journal.c.message_id),
)

_COMPLETED = LookUp(
    (journal.c.message_id,),
    key=journal.c.message_id,
    where=(
        journal.c.tenant_id == bindparam("tenant_id"),
        journal.c.function == bindparam("function_name"),
        journal.c.state == ProcessingState.COMPLETED.value,
    ),
)


class SqlJournal(Journal):
    """The entries of a transaction's tenant.

    Two transactions that complete the same message meet at its row: the second waits for the first, and finds it
    completed.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    def completed(self, function: FunctionName, message_ids: Collection[MessageId]) -> frozenset[MessageId]:
        with self._transaction.reading() as connection:
            rows = _COMPLETED.run(
                connection, message_ids, tenant_id=self._transaction.tenant_id, function_name=function
            )
        return frozenset(row.message_id for row in rows)

    @override
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        return self._record(entries)

    @override
    def fail(self, entries: Sequence[JournalEntry]) -> None:
        self._record(entries)

    @override
    def trace(self, correlation_id: str) -> Sequence[JournalEntry]:
        wanted = (
            select(journal)
            .where(
                journal.c.tenant_id == self._transaction.tenant_id, journal.c.correlation_id == correlation_id
            )
            .order_by(journal.c.started_at, journal.c.finished_at, journal.c.function, journal.c.message_id)
        )
        with self._transaction.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
        return [JournalEntry(**fields_of(row)) for row in rows]

    def _record(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        if not entries:
            return frozenset()
        # One order everywhere, so that no two transactions wait for each other's rows.
        rows = sorted(
            (self._row(entry) for entry in entries), key=lambda row: (row["function"], row["message_id"])
        )
        with self._transaction.writing() as connection:
            return frozenset(_RECORD.run(connection, rows))

    def _row(self, entry: JournalEntry) -> dict[str, object]:
        return {
            "tenant_id": self._transaction.tenant_id,
            "function": entry.function,
            "message_id": entry.message_id,
            "state": entry.state.value,
            "attempts": entry.attempts,
            "correlation_id": entry.correlation_id,
            "causation_id": entry.causation_id,
            "entity_id": entry.entity_id,
            "started_at": entry.started_at,
            "finished_at": entry.finished_at,
            "fingerprint": entry.fingerprint,
            "operation": entry.operation,
            "waited": entry.waited,
            "took": entry.took,
        }


def fields_of(row: RowMapping) -> dict[str, Any]:
    """The fields of the `JournalEntry` that *row* of the table is."""
    fields = {name: value for name, value in row.items() if name != "tenant_id"}
    return fields | {"state": ProcessingState(row["state"])}
