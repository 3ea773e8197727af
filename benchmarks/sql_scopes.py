"""What roles and row-level security cost: the same work on one PostgreSQL with them and, as its superuser, without.

Both ways take turns on one database that syncs to disk. Without its listener an engine sets neither role nor tenant,
which as the superuser means that nothing is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import Engine, event

from api_exchange_core.adapters.sql import migrate, scope
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.domain.delivery import Complete, Settlement
from api_exchange_core.domain.names import EntityId, MessageId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing.postgres import PostgresServer
from benchmarks.measuring import against, show, taking_turns
from benchmarks.sql_flush import BODY, INPUT, TENANT, batch_of, through_the_unit_of_work

ROUNDS = 60
SIZES = (1, 10, 100)
WITHOUT, WITH = "without", "with roles and policies"

Prepare = Callable[[Engine], Callable[[], object]]


def reading(engine: Engine) -> Callable[[], object]:
    """One read in a transaction of its own."""

    def read() -> None:
        with SqlUnitOfWorkFactory(engine, queues_here=True).begin(TENANT) as unit:
            unit.entities.heads([EntityId("none-such")])
            unit.commit()

    return read


def transporting(size: int) -> Prepare:
    """Publish, receive and settle."""

    def prepare(engine: Engine) -> Callable[[], object]:
        queue = SqlQueue(engine, SystemClock())
        messages = [
            Outgoing(queue=INPUT, tenant_id=TENANT, message_id=MessageId(str(number)), body=BODY)
            for number in range(size)
        ]

        def transport() -> None:
            queue.publish(messages)
            received = queue.receive(INPUT, max_messages=size, visibility=timedelta(minutes=1))
            queue.settle([Settlement(one, Complete()) for one in received])

        return transport

    return prepare


def flushing(size: int) -> Prepare:
    """A flush of a batch, as in `benchmarks.sql_flush`."""

    def prepare(engine: Engine) -> Callable[[], object]:
        batch, flush = batch_of(size, SqlQueue(engine, SystemClock())), through_the_unit_of_work(engine)
        return lambda: flush(batch)

    return prepare


def main() -> None:
    """Print the report."""
    works: dict[str, Prepare] = {"a read in a transaction": reading}
    works |= {f"publish, receive, settle {size}": transporting(size) for size in SIZES}
    works |= {f"a flush of {size}": flushing(size) for size in SIZES}
    with PostgresServer.start(durable=True) as server:
        url = server.create_database()
        engines = {WITHOUT: create_engine_for(url), WITH: create_engine_for(url)}
        migrate.upgrade(engines[WITH])
        event.remove(engines[WITHOUT], "do_execute", scope._execute)  # noqa: SLF001 - nobody else may take it off
        for name, prepare in works.items():
            turns = {way: partial(prepare, engine) for way, engine in engines.items()}
            show(f"PostgreSQL: {name}", against(WITHOUT, taking_turns(turns, rounds=ROUNDS)))
        for engine in engines.values():
            engine.dispose()


if __name__ == "__main__":
    main()
