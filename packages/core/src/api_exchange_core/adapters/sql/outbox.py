"""The outbox in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row
from typing_extensions import override

from api_exchange_core.adapters.sql import queue_rows
from api_exchange_core.adapters.sql.many_rows import InsertRowsReturning
from api_exchange_core.adapters.sql.schema import outbox
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import Outbox, OutboxRow, OutgoingLine

QUEUE: Final = "queue"
FILE: Final = "file"

_ADD = InsertRowsReturning(
    outbox,
    lambda insert: insert.returning(outbox.c.id),
    without=("id", "claimed_until", "attempts"),
)


class SqlOutbox(Outbox):
    """The effects of a transaction's tenant.

    Args:
        transaction: what they are committed with.
        queues_here: messages go straight into the queues of this database.
        grace: how long the relay leaves a row to whoever committed it.
    """

    def __init__(self, transaction: Transaction, *, queues_here: bool, grace: timedelta) -> None:
        self._transaction = transaction
        self._queues_here = queues_here
        self._grace = grace

    @override
    def add(self, effects: Sequence[Outgoing | OutgoingLine], *, now: datetime) -> Sequence[OutboxRow]:
        self._check_tenant(effects)
        if not self._queues_here:
            return self._add_rows(effects, now)
        messages = [effect for effect in effects if isinstance(effect, Outgoing)]
        if messages:
            with self._transaction.writing() as connection:
                queue_rows.put(connection, messages, now=now)
        return self._add_rows([effect for effect in effects if isinstance(effect, OutgoingLine)], now)

    def _add_rows(self, effects: Sequence[Outgoing | OutgoingLine], now: datetime) -> Sequence[OutboxRow]:
        if not effects:
            return ()
        times = {"created_at": now, "due_at": now + self._grace}
        rows = [row_of(effect) | times for effect in effects]
        with self._transaction.writing() as connection:
            ids = _ADD.run(connection, rows)
        # Numbers are given in the order of the rows, and returned in any.
        return [OutboxRow(id_, effect) for id_, effect in zip(sorted(ids), effects, strict=True)]

    def _check_tenant(self, effects: Sequence[Outgoing | OutgoingLine]) -> None:
        own = self._transaction.tenant_id
        strangers = {effect.tenant_id for effect in effects} - {own}
        if strangers:
            raise TenantError(f"effects for {sorted(strangers)} in a unit of work of tenant {own!r}")


def row_of(effect: Outgoing | OutgoingLine) -> dict[str, object]:
    """The columns that say what is to be done."""
    if isinstance(effect, OutgoingLine):
        return {
            "tenant_id": effect.tenant_id,
            "kind": FILE,
            "name": effect.name,
            "message_id": None,
            "body": effect.line,
            "delay": timedelta(0),
            "ordering_key": None,
            "properties": {},
        }
    return {
        "tenant_id": effect.tenant_id,
        "kind": QUEUE,
        "name": effect.queue,
        "message_id": effect.message_id,
        "body": effect.body,
        "delay": effect.delay,
        "ordering_key": effect.ordering_key,
        "properties": dict(effect.properties),
    }


def effect_of(row: Row[Any]) -> Outgoing | OutgoingLine:
    """What a row says is to be done."""
    if row.kind == FILE:
        return OutgoingLine(tenant_id=row.tenant_id, name=row.name, line=row.body)
    return Outgoing(
        queue=row.name,
        tenant_id=row.tenant_id,
        message_id=row.message_id,
        body=row.body,
        delay=row.delay,
        ordering_key=row.ordering_key,
        properties=row.properties,
    )
