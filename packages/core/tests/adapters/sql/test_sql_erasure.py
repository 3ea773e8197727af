"""Erasing covers every table that holds rows of tenants, whoever added it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    insert,
    select,
)

from api_exchange_core.adapters.sql import schema
from api_exchange_core.adapters.sql.eraser import SqlEraser, tables_of_tenants
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime
from api_exchange_core.application.erase import SETTLING, EraseTenant
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.tenant import Tenant
from api_exchange_testing import InMemoryFileSink, SeededRandomness, VirtualClock
from api_exchange_testing.memory.sleeper import VirtualSleeper

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GONE, STAYS = TenantId("gone"), TenantId("stays")
KEPT = {"tenants", "erasures"}
"""Where an erased tenant's id stays."""
OF_NOBODY = {"chore_leases", "dead_letter_jobs"}
"""Tables of the operators, with nothing of a tenant but the name of one that somebody sought dead letters of."""
ALLOWED = {
    ("journal", "state"): "completed",
    ("outbox", "kind"): "queue",
    ("error_groups", "state"): "open",
    ("dead_letter_jobs", "action"): "replay",
    ("dead_letter_job_items", "state"): "waiting",
}
"""Values for columns that a check constrains."""
PLAIN = {
    UtcDateTime: NOW,
    Duration: timedelta(0),
    Boolean: True,
    Integer: 1,
    BigInteger: 1,
    Float: 1.0,
}
"""Values of what holds no text."""


def a_row(table: Table, tenant_id: TenantId, number: int) -> dict[str, Any]:
    """A row of *table* that names *tenant_id* wherever it can."""
    return {
        column.name: a_value(column, tenant_id, number) for column in table.columns if column.identity is None
    }


def a_value(column: Column[Any], tenant_id: TenantId, number: int) -> object:
    allowed = ALLOWED.get((column.table.name, column.name))
    if allowed is not None:
        return allowed
    if column.name in ("tenant_id", "tenant"):
        return tenant_id
    if column.name == "place":
        return number + 3 * (tenant_id == STAYS)
    named = f"nobody-{tenant_id == STAYS}" if column.table.name in OF_NOBODY else tenant_id
    if isinstance(column.type, String):
        return f"{named}-{number}"[: column.type.length]
    if isinstance(column.type, LargeBinary):
        return tenant_id.encode()
    if isinstance(column.type, JSON):
        return {"tenant": named}
    assert type(column.type) in PLAIN, f"say in this test what a column of type {column.type!r} holds"
    return PLAIN[type(column.type)]


def naming(engine: Engine, tenant_id: TenantId) -> dict[str, int]:
    """How many rows of each table name *tenant_id* anywhere."""
    with engine.connect() as connection:
        counts = {
            name: sum(
                any(
                    tenant_id in (value.decode() if isinstance(value, bytes) else str(value)) for value in row
                )
                for row in connection.execute(select(table))
            )
            for name, table in schema.metadata.tables.items()
        }
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
def full(engine: Engine) -> Engine:
    """A database with three rows of each of two tenants in every table."""
    SqlTenantDirectory(engine).add([GONE, STAYS], now=NOW)
    with engine.begin() as connection:
        for table in schema.metadata.sorted_tables:
            if table.name not in KEPT:
                rows = [a_row(table, tenant, number) for tenant in (GONE, STAYS) for number in range(3)]
                connection.execute(insert(table), rows)
    return engine


def erase(engine: Engine, *, clock: VirtualClock | None = None) -> None:
    clock = VirtualClock(NOW) if clock is None else clock
    directory = SqlTenantDirectory(engine)
    directory.set_enabled(GONE, enabled=False)
    EraseTenant(
        directory, SqlEraser(engine), InMemoryFileSink(), clock, SeededRandomness(1), VirtualSleeper(clock)
    ).run(GONE, requested_by="operator")


def test_no_table_names_an_erased_tenant_but_those_that_say_it_was_erased(full: Engine) -> None:
    assert set(naming(full, GONE)) | {"erasures"} | OF_NOBODY == set(schema.metadata.tables)
    before = naming(full, STAYS)
    erase(full)
    assert naming(full, GONE) == {"tenants": 1, "erasures": 1}
    assert naming(full, STAYS) == before


def test_the_record_counts_what_was_removed_of_each_table(full: Engine) -> None:
    held = {table.name: 3 for table in tables_of_tenants() if table.name != "api_keys"}
    erase(full)
    (record,) = SqlEraser(full).records()
    assert dict(record.removed) == held
    assert (record.tenant_id, record.finished_at) == (GONE, NOW + SETTLING)


def test_what_a_process_still_wrote_while_its_tenant_was_erased_goes_too(full: Engine) -> None:
    class Late(VirtualClock):
        def advance(self, by: timedelta) -> None:
            super().advance(by)
            with full.begin() as connection:
                connection.execute(insert(schema.journal), [a_row(schema.journal, GONE, 9)])

    erase(full, clock=Late(NOW))
    assert naming(full, GONE) == {"tenants": 1, "erasures": 1}
    assert SqlTenantDirectory(full).get(GONE) == Tenant(GONE, enabled=False, erased_at=NOW)


def test_messages_go_first_and_nothing_before_what_refers_to_it() -> None:
    names = [table.name for table in tables_of_tenants()]
    assert names[:2] == ["queue", "outbox"]
    assert len(set(names)) == len(names)
    for table in tables_of_tenants():
        for key in table.foreign_keys:
            if key.column.table.name in names:
                assert names.index(table.name) < names.index(key.column.table.name)
