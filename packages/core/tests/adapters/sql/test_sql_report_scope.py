"""That a report of one tenant is asked in that tenant's scope, where PostgreSQL lets no other tenant's rows through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.entity_reports import SqlEntityReports
from api_exchange_core.adapters.sql.error_groups import SqlErrorGroups
from api_exchange_core.adapters.sql.message_reports import SqlMessageReports
from api_exchange_core.adapters.sql.roles import OPERATOR
from api_exchange_core.adapters.sql.statistics import SqlStatisticsSource
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.errors import TransientError
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import EntityId, FunctionName, MessageId, TenantId
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.message_reports import MessageFilter, Request

OWN, OTHER = TenantId("customer-a"), TenantId("customer-b")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGE = MessageId("m-1")
FINGERPRINT = "f" * 16


@pytest.fixture
def engine(production_urls: Mapping[str, str]) -> Iterator[Engine]:
    """Of the runtime's login, with an error of each tenant, where an operator may read none of these tables."""
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    tables = "journal, errors, error_groups, entities, entity_versions"
    with owner.begin() as connection:
        connection.exec_driver_sql(f"REVOKE ALL ON {tables} FROM {OPERATOR}")
    owner.dispose()
    engine = create_engine_for(production_urls["runtime"])
    problem = Problem(code="C", reason="r", fingerprint=FINGERPRINT)
    entry = ErrorEntry(
        function=FunctionName("keep"),
        message_id=MESSAGE,
        correlation_id="c-1",
        attempt=1,
        problem=problem,
        stack="",
        occurred_at=NOW,
    )
    for tenant_id in (OWN, OTHER):
        with SqlUnitOfWorkFactory(engine, queues_here=True).begin(tenant_id) as unit:
            unit.errors.add([entry])
            unit.commit()
    yield engine
    engine.dispose()


Report = Callable[[Engine, TenantId], object]

REPORTS: Mapping[str, Report] = {
    "statistics": lambda engine, tenant: SqlStatisticsSource(engine).of_window(
        since=NOW - timedelta(hours=1), until=NOW, tenant_id=tenant, most=100
    ),
    "groups of errors": lambda engine, tenant: SqlErrorGroups(engine).newest(tenant_id=tenant, limit=10),
    "a group of errors": lambda engine, tenant: SqlErrorGroups(engine).named(FINGERPRINT, tenant_id=tenant),
    "a resolution": lambda engine, tenant: SqlErrorGroups(engine).resolve(
        FINGERPRINT, by="somebody", now=NOW, tenant_id=tenant
    ),
    "messages": lambda engine, tenant: SqlMessageReports(engine).newest(
        MessageFilter(tenant_id=tenant), limit=10
    ),
    "a request": lambda engine, tenant: SqlMessageReports(engine).of_request(Request(tenant, "c-1"), limit=9),
    "attempts": lambda engine, tenant: SqlMessageReports(engine).failed_attempts(
        [MESSAGE], tenant_id=tenant, limit=9
    ),
    "a history": lambda engine, tenant: SqlEntityReports(engine).history(
        EntityId("e"), tenant_id=tenant, limit=9
    ),
    "a version": lambda engine, tenant: SqlEntityReports(engine).version(EntityId("e"), 1, tenant_id=tenant),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_report_of_one_tenant_needs_no_operator(engine: Engine, report: Report) -> None:
    report(engine, OWN)


def test_it_tells_what_there_is_of_the_tenant(engine: Engine) -> None:
    [group] = SqlErrorGroups(engine).newest(tenant_id=OWN, limit=10)
    assert (group.count, group.tenants) == (1, (OWN,))
    assert SqlErrorGroups(engine).resolve(FINGERPRINT, by="somebody", now=NOW, tenant_id=OWN) == 1
    assert SqlErrorGroups(engine).newest(tenant_id=OWN, limit=10) == []
    assert len(SqlErrorGroups(engine).newest(tenant_id=OTHER, limit=10)) == 1
    assert len(SqlMessageReports(engine).failed_attempts([MESSAGE], tenant_id=OWN, limit=9)) == 1


def test_a_report_of_all_tenants_needs_one(engine: Engine) -> None:
    with pytest.raises(TransientError, match="lacks a right"):
        SqlErrorGroups(engine).newest(limit=10)
