"""That a step of a purge, and a batch of an erasure, read no more of a PostgreSQL table than they look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event

from api_exchange_core.adapters.sql.engine import create_engine_for, writing
from api_exchange_core.adapters.sql.eraser import SqlEraser
from api_exchange_core.adapters.sql.migrate import upgrade
from api_exchange_core.adapters.sql.retention_store import SqlRetentionStore
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.retention import Expiry, Kept
from api_exchange_core.ports.retention import Place

TENANT = TenantId("customer-a")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILL = """INSERT INTO journal SELECT 'customer-a', 'to-canonical', md5(n::text), 'completed', 1, md5(n::text), NULL,
    NULL, timestamptz '2026-01-01', timestamptz '2026-01-01', NULL FROM generate_series(1, 20000) n"""


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """A database with 20,000 journal entries that have expired."""
    engine = create_engine_for(postgres_url)
    upgrade(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql(FILL)
    yield engine
    engine.dispose()


@pytest.fixture
def plans(engine: Engine) -> list[str]:
    """Fills with the plans of what the engine is asked for."""
    plans: list[str] = []

    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if "FROM journal" in statement:
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(line for (line,) in cursor.fetchall()))

    event.listen(engine, "before_cursor_execute", explain)
    return plans


def test_a_step_of_a_purge_reads_its_pages_only(engine: Engine, plans: list[str]) -> None:
    store, place, removed, steps = SqlRetentionStore(engine), None, 0, 0
    while True:
        step = store.purge(Expiry(Kept.JOURNAL, before=NOW), after=place, limit=1_000)
        removed, steps = removed + step.expired, steps + 1
        assert step.expired <= 2_000
        if step.next is None:
            break
        place = Place(step.next)
    assert (removed, steps > 10) == (20_000, True)
    assert all("Tid Range Scan on journal" in plan and "Seq Scan" not in plan for plan in plans)


def test_a_batch_of_an_erasure_finds_its_rows_by_their_address(engine: Engine, plans: list[str]) -> None:
    eraser = SqlEraser(engine)
    eraser.begin(
        Erasure(id="1", tenant_id=TENANT, entity_proof=None, requested_by="operator", started_at=NOW)
    )
    assert eraser.remove(Subject(TENANT), "journal", erasure_id="1", limit=1_000) == 1_000
    assert [("Tid Scan on journal" in plan, "Limit" in plan) for plan in plans] == [(True, True)]
