"""Units of work as transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine
from typing_extensions import override

from api_exchange_core.adapters.sql import queue_rows
from api_exchange_core.adapters.sql.checkpoints import SqlCheckpoints
from api_exchange_core.adapters.sql.entity_store import SqlEntityStore
from api_exchange_core.adapters.sql.error_log import SqlErrorLog
from api_exchange_core.adapters.sql.journal import SqlJournal
from api_exchange_core.adapters.sql.outbox import SqlOutbox
from api_exchange_core.adapters.sql.queue_rows import Receipt
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.delivery import Delivery
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory


class SqlUnitOfWork(UnitOfWork):
    """The parts of one transaction.

    Args:
        transaction: what all of them write in.
        queues_here: the queues are tables of the same database.
        relay_grace: how long the relay leaves a row to whoever committed it.
    """

    def __init__(self, transaction: Transaction, *, queues_here: bool, relay_grace: timedelta) -> None:
        self._transaction = transaction
        self._queues_here = queues_here
        self._entities = SqlEntityStore(transaction)
        self._journal = SqlJournal(transaction)
        self._outbox = SqlOutbox(transaction, queues_here=queues_here, grace=relay_grace)
        self._errors = SqlErrorLog(transaction)
        self._checkpoints = SqlCheckpoints(transaction)

    @property
    @override
    def entities(self) -> SqlEntityStore:
        return self._entities

    @property
    @override
    def journal(self) -> SqlJournal:
        return self._journal

    @property
    @override
    def outbox(self) -> SqlOutbox:
        return self._outbox

    @property
    @override
    def errors(self) -> SqlErrorLog:
        return self._errors

    @property
    @override
    def checkpoints(self) -> SqlCheckpoints:
        return self._checkpoints

    @override
    def acknowledge(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        if not self._queues_here:
            return deliveries
        own, others = _apart(deliveries)
        if own:
            with self._transaction.writing() as connection:
                removed = queue_rows.remove(connection, own)
                if removed < len(own):
                    raise ClaimLostError(
                        f"{len(own) - removed} of {len(own)} deliveries were handed to somebody else, since they were "
                        "not settled within their visibility timeout; or their rows name another tenant than they do"
                    )
        return others

    @override
    def commit(self) -> None:
        self._transaction.commit()


def _apart(deliveries: Sequence[Delivery]) -> tuple[Sequence[Delivery], Sequence[Delivery]]:
    """Those whose rows name a tenant, and the others, which this tenant's transaction cannot see."""
    own: list[Delivery] = []
    others: list[Delivery] = []
    for delivery in deliveries:
        (own if Receipt.of(delivery).of_tenant else others).append(delivery)
    return own, others


@dataclass(frozen=True, slots=True)
class SqlUnitOfWorkFactory(UnitOfWorkFactory):
    """Begins units of work on a database.

    Args:
        engine: of the database.
        queues_here: its tables are the application's queues as well, so that messages are sent and acknowledged
            in the same transaction.
        relay_grace: how long the relay leaves an outbox row to whoever committed it.
    """

    engine: Engine
    queues_here: bool
    relay_grace: timedelta = timedelta(seconds=5)

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[SqlUnitOfWork]:
        transaction = Transaction(self.engine, tenant_id)
        try:
            yield SqlUnitOfWork(transaction, queues_here=self.queues_here, relay_grace=self.relay_grace)
        finally:
            transaction.close()
