"""The journal in a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, null, select
from typing_extensions import override

from api_exchange_core.adapters.sql import journal_claims
from api_exchange_core.adapters.sql.look_up import LookUp
from api_exchange_core.adapters.sql.many_rows import InsertRowsReturning
from api_exchange_core.adapters.sql.schema import journal
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId
from api_exchange_core.ports.journal import Claim, Journal, JournalEntry, ProcessingState, Standing

_KEY: Final = ("tenant_id", "function", "message_id")
_OF_CLAIMS: Final = ("fence", "leased_until")
_REST: Final = tuple(column.name for column in journal.columns if column.name not in (*_KEY, *_OF_CLAIMS))

_RECORD = InsertRowsReturning(
    journal,
    lambda insert: insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: insert.excluded[name] for name in _REST} | {"leased_until": null()},
        where=journal.c.state != ProcessingState.COMPLETED.value,
    ).returning(journal.c.message_id),
    without=_OF_CLAIMS,
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

    Two transactions that complete or claim the same message meet at its row: the second waits for the first, and
    finds it completed, or claimed. What is written under a claim asks for the claim's fence in the same statement.
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
    def claim(self, entries: Sequence[JournalEntry], *, on_lost: OnLost) -> Mapping[MessageId, Standing]:
        if not entries:
            return {}
        with self._transaction.writing() as connection:
            return journal_claims.claim(connection, self._sorted(entries), on_lost=on_lost)

    @override
    def renew(self, claims: Sequence[Claim], *, until: datetime) -> frozenset[MessageId]:
        if not claims:
            return frozenset()
        with self._transaction.writing() as connection:
            return journal_claims.renew(connection, self._transaction.tenant_id, claims, until=until)

    @override
    def complete(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        claimed = [entry for entry in entries if entry.fence]
        if claimed:
            with self._transaction.writing() as connection:
                if not journal_claims.end(connection, self._sorted(claimed)):
                    raise ClaimLostError(
                        f"of {len(claimed)} claimed messages some were claimed anew since, or declared lost: their "
                        "leases ran out before the processor came to an end"
                    )
        recorded = self._record([entry for entry in entries if not entry.fence])
        return recorded | {entry.message_id for entry in claimed}

    @override
    def fail(self, entries: Sequence[JournalEntry]) -> frozenset[MessageId]:
        recorded = self._record([entry for entry in entries if not entry.fence])
        claimed = [entry for entry in entries if entry.fence]
        if claimed:
            with self._transaction.writing() as connection:
                recorded |= journal_claims.fail(connection, self._sorted(claimed))
        return recorded

    @override
    def held(self, *, limit: int) -> Sequence[JournalEntry]:
        wanted = (
            select(journal)
            .where(
                journal.c.tenant_id == self._transaction.tenant_id,
                journal.c.state == ProcessingState.HELD.value,
            )
            .order_by(journal.c.started_at, journal.c.function, journal.c.message_id)
            .limit(limit)
        )
        with self._transaction.reading() as connection:
            return [JournalEntry(**fields_of(row)) for row in connection.execute(wanted).mappings()]

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
        with self._transaction.writing() as connection:
            return frozenset(_RECORD.run(connection, self._sorted(entries)))

    def _decide(
        self,
        function: FunctionName,
        message_ids: Collection[MessageId],
        *,
        before: Collection[ProcessingState],
        after: ProcessingState,
    ) -> frozenset[MessageId]:
        if not message_ids:
            return frozenset()
        with self._transaction.writing() as connection:
            return journal_claims.decide(
                connection, self._transaction.tenant_id, function, message_ids, before=before, after=after
            )

    def _sorted(self, entries: Sequence[JournalEntry]) -> list[dict[str, Any]]:
        # One order everywhere, so that no two transactions wait for each other's rows.
        return sorted(
            (self._row(entry) for entry in entries), key=lambda row: (row["function"], row["message_id"])
        )

    def _row(self, entry: JournalEntry) -> dict[str, Any]:
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
            "fence": entry.fence,
            "leased_until": entry.leased_until,
            "operation": entry.operation,
            "waited": entry.waited,
            "took": entry.took,
        }


def fields_of(row: RowMapping) -> dict[str, Any]:
    """The fields of the `JournalEntry` that *row* of the table is."""
    fields = {name: value for name, value in row.items() if name != "tenant_id"}
    return fields | {"state": ProcessingState(row["state"])}
