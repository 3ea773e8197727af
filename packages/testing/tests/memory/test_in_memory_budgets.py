"""Budgets in memory go with their tenant, as they do in a database."""

from __future__ import annotations

from datetime import UTC, datetime

from api_exchange_core.domain.budget import Budget
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.names import TenantId
from api_exchange_testing import InMemoryBudgets, InMemoryEraser, InMemoryStore

GONE, STAYS = TenantId("gone"), TenantId("stays")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_tenants_budgets_are_erased_with_it_and_nobody_elses() -> None:
    store = InMemoryStore()
    budgets, eraser = InMemoryBudgets(store), InMemoryEraser(store)
    for tenant in (GONE, STAYS):
        for api in ("shop", "carrier"):
            assert budgets.take(tenant, api=api, number=1, budget=Budget(1), now=NOW) is None
    assert eraser.held(Subject(GONE)) == {"rate_budgets": 2}
    eraser.begin(Erasure(id="e", tenant_id=GONE, entity_proof=None, requested_by="operator", started_at=NOW))
    assert [eraser.remove(Subject(GONE), "rate_budgets", erasure_id="e", limit=1) for _ in range(3)] == [
        1,
        1,
        0,
    ]
    assert eraser.held(Subject(GONE)) == {}
    assert eraser.held(Subject(STAYS)) == {"rate_budgets": 2}
