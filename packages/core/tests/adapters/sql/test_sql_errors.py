from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.migrate import upgrade
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.entity import EntityHead, EntityKey
from api_exchange_core.domain.errors import LostRaceError, PermanentError, TenantError, TransientError
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing

TENANT = TenantId("customer-a")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def head(*, tenant: TenantId = TENANT, source_version: int | None = None, now: datetime = NOW) -> EntityHead:
    key = EntityKey(tenant, "order", "shop", "1")
    return EntityHead(key, key.id, 1, "sha256:jcs1:00", source_version, now)


def entry(message_id: str) -> JournalEntry:
    return JournalEntry(
        function=FunctionName("to-canonical"),
        message_id=MessageId(message_id),
        state=ProcessingState.COMPLETED,
        attempts=1,
        correlation_id="c",
        causation_id=None,
        entity_id=None,
        started_at=NOW,
        finished_at=NOW,
    )


def test_a_database_that_was_not_migrated_says_how_that_is_done(empty_engine: Engine) -> None:
    with pytest.raises(TransientError, match="upgrade"):
        SqlTenantDirectory(empty_engine).all()


def test_a_key_that_somebody_else_wrote_first_is_a_lost_race(engine: Engine) -> None:
    SqlTenantDirectory(engine).add([TENANT], now=NOW)
    with pytest.raises(LostRaceError) as lost, writing(engine) as connection:
        connection.execute(text("INSERT INTO tenants SELECT * FROM tenants"))
    assert TENANT not in str(lost.value)


def test_a_state_that_is_none_is_refused_for_ever(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with units.begin(TENANT) as unit:
        unit.journal.complete([entry("m")])
        unit.commit()
    with pytest.raises(PermanentError, match="ck_journal_state"), writing(engine) as connection:
        connection.execute(text("UPDATE journal SET state = 'FAILED'"))


def test_a_value_that_fits_no_column_is_refused_for_ever_and_not_shown(postgres_url: str) -> None:
    engine = create_engine_for(postgres_url)
    upgrade(engine)
    too_long = "x" * 256
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with pytest.raises(PermanentError) as refused, units.begin(TENANT) as unit:
        unit.journal.complete([entry(too_long)])
    assert too_long not in f"{refused.value} {refused.value.__cause__}"
    engine.dispose()


def test_a_source_version_beyond_64_bits_is_refused_before_it_is_rounded(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with pytest.raises(PermanentError, match="64 bits"), units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(head(source_version=2**63), 0)], [])
    with units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(head(source_version=2**63 - 1), 0)], [])
        assert unit.entities.heads([head().id])[head().id].source_version == 2**63 - 1


def test_a_time_without_zone_is_refused(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with pytest.raises(PermanentError, match="time zone"), units.begin(TENANT) as unit:
        unit.entities.write([HeadWrite(head(now=NOW.replace(tzinfo=None)), 0)], [])


def test_a_unit_of_work_writes_for_its_own_tenant_only(engine: Engine) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    other = TenantId("customer-b")
    message = Outgoing(queue=QueueName("orders"), tenant_id=other, message_id=MessageId("m"), body=b"{}")
    with units.begin(TENANT) as unit:
        with pytest.raises(TenantError, match="customer-b"):
            unit.entities.write([HeadWrite(head(tenant=other), 0)], [])
        with pytest.raises(TenantError, match="customer-b"):
            unit.outbox.add([message], now=NOW)


def test_of_two_transactions_that_wait_for_each_other_one_loses_the_race(postgres_url: str) -> None:
    engine = create_engine_for(postgres_url)
    upgrade(engine)
    SqlTenantDirectory(engine).add([TenantId("a"), TenantId("b")], now=NOW)
    both_hold_one = threading.Barrier(2)
    lost: list[Exception] = []

    def lock(first: str, second: str) -> None:
        try:
            with writing(engine) as connection:
                connection.execute(text("UPDATE tenants SET enabled = true WHERE id = :id"), {"id": first})
                both_hold_one.wait()
                connection.execute(text("UPDATE tenants SET enabled = true WHERE id = :id"), {"id": second})
        except LostRaceError as error:
            lost.append(error)

    threads = [threading.Thread(target=lock, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lost) == 1
    engine.dispose()
