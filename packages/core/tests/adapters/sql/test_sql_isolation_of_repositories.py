"""That PostgreSQL keeps tenants apart even if a repository names the wrong one: its filter is not the only wall."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWork, SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.errors import ClaimLostError, ExchangeError, LostRaceError, TransientError
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing

OWN, OTHER = TenantId("customer-b"), TenantId("customer-a")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE = timedelta(seconds=5)
FUNCTION, QUEUE = FunctionName("to-canonical"), QueueName("orders")
HEAD = EntityHead(
    EntityKey(OTHER, "order", "shop", "1"), EntityKey(OTHER, "order", "shop", "1").id, 1, "h", None, NOW
)
NEW = EntityHead(
    EntityKey(OTHER, "order", "shop", "2"), EntityKey(OTHER, "order", "shop", "2").id, 1, "h", None, NOW
)
MESSAGE = MessageId("m")
ENTRY = JournalEntry(
    function=FUNCTION,
    message_id=MESSAGE,
    state=ProcessingState.COMPLETED,
    attempts=1,
    correlation_id="c",
    causation_id=None,
    entity_id=None,
    started_at=NOW,
    finished_at=NOW,
)
PROBLEM = Problem(code="C", reason="r", fingerprint="f", permanent=False, retry_after=None, defer=None)
ERROR = ErrorEntry(
    function=FUNCTION,
    message_id=MESSAGE,
    correlation_id="c",
    attempt=1,
    problem=PROBLEM,
    stack="",
    occurred_at=NOW,
)


def outgoing(tenant_id: TenantId) -> Outgoing:
    return Outgoing(queue=QUEUE, tenant_id=tenant_id, message_id=MESSAGE, body=b"{}")


def version(head: EntityHead, number: int) -> EntityVersion:
    return EntityVersion(head.id, number, "h", {}, None, None, None, NOW)


@pytest.fixture(params=["superuser", "runtime"])
def engine(request: pytest.FixtureRequest, production_urls: Mapping[str, str]) -> Iterator[Engine]:
    """One login for everything, as on a laptop, or the runtime's own; with rows of the other tenant in each table."""
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    engine = create_engine_for(production_urls["admin" if request.param == "superuser" else "runtime"])
    with SqlUnitOfWorkFactory(engine, queues_here=True).begin(OTHER) as unit:
        unit.entities.write([HeadWrite(HEAD, 0)], [version(HEAD, 1)])
        unit.journal.complete([ENTRY])
        unit.outbox.add([outgoing(OTHER)], now=NOW)
        unit.errors.add([ERROR])
        unit.commit()
    yield engine
    engine.dispose()


@contextmanager
def mistaken(engine: Engine, *, queues_here: bool = True) -> Iterator[SqlUnitOfWork]:
    """A unit of work whose repositories take it for the other tenant's, in a transaction of its own tenant."""
    transaction = Transaction(engine, OWN)
    with transaction.reading() as connection:
        connection.exec_driver_sql("SELECT 1")  # with which the transaction begins
    transaction.tenant_id = OTHER
    try:
        yield SqlUnitOfWork(transaction, queues_here=queues_here, relay_grace=GRACE)
    finally:
        transaction.close()


def test_nothing_of_the_other_tenant_is_read(engine: Engine) -> None:
    with mistaken(engine) as unit:
        assert unit.entities.heads([HEAD.id]) == {}
        assert unit.entities.heads([HEAD.id], lock=True) == {}
        assert list(unit.entities.versions(HEAD.id)) == []
        assert unit.entities.count() == 0
        assert list(unit.entities.suspected_duplicates(canonical_type="order")) == []
        assert unit.journal.completed(FUNCTION, [MESSAGE]) == frozenset()
        assert list(unit.journal.trace("c")) == []
        assert list(unit.errors.of_message(MESSAGE)) == []


WRITES: Mapping[str, tuple[Callable[[SqlUnitOfWork], object], type[ExchangeError]]] = {
    "a new head": (lambda unit: unit.entities.write([HeadWrite(NEW, 0)], []), TransientError),
    "a changed head": (lambda unit: unit.entities.write([HeadWrite(HEAD, 1)], []), LostRaceError),
    "a version": (lambda unit: unit.entities.write([], [version(HEAD, 2)]), TransientError),
    "a journal entry": (lambda unit: unit.journal.complete([ENTRY]), TransientError),
    "an error": (lambda unit: unit.errors.add([ERROR]), TransientError),
    "a message": (lambda unit: unit.outbox.add([outgoing(OTHER)], now=NOW), TransientError),
}


@pytest.mark.parametrize(("write", "error"), WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("queues_here", [True, False])
def test_nothing_is_written_for_the_other_tenant(
    engine: Engine, write: Callable[[SqlUnitOfWork], object], error: type[ExchangeError], queues_here: bool
) -> None:
    before = SqlQueue(engine, SystemClock()).depths()
    with mistaken(engine, queues_here=queues_here) as unit:
        with pytest.raises(error):
            write(unit)
        with pytest.raises(TransientError):
            unit.commit()
    assert SqlQueue(engine, SystemClock()).depths() == before
    with SqlUnitOfWorkFactory(engine, queues_here=True).begin(OTHER) as unit:
        assert unit.entities.heads([HEAD.id, NEW.id]) == {HEAD.id: HEAD}
        assert len(unit.entities.versions(HEAD.id)) == 1
        assert len(unit.journal.trace("c")) == 1
        assert len(unit.errors.of_message(MESSAGE)) == 1


def test_the_other_tenants_message_is_not_taken_away(engine: Engine) -> None:
    queue = SqlQueue(engine, SystemClock())
    (delivery,) = queue.receive(QUEUE, max_messages=1, visibility=timedelta(minutes=1))
    with SqlUnitOfWorkFactory(engine, queues_here=True).begin(OWN) as unit:
        with pytest.raises(ClaimLostError):
            unit.acknowledge([delivery])
        with pytest.raises(TransientError):
            unit.commit()
    assert queue.depths() == {QUEUE: 1}
