"""Budgets in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.budget import Budget, BudgetState, check_number
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.budgets import Budgets
from api_exchange_testing.memory.unit_of_work import InMemoryStore

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNUSED: Final = BudgetState(used_until=_LONG_AGO, closed_until=_LONG_AGO)


class InMemoryBudgets(Budgets):
    """The budgets of all who share a store.

    Args:
        store: whose rows.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    def take(
        self, tenant_id: TenantId, *, api: str, number: int, budget: Budget, now: datetime
    ) -> datetime | None:
        check_number(number, budget)
        with self._store.changed:
            rows = self._store.of(tenant_id).budgets
            state = rows.get(api, _UNUSED)
            free_at = state.free_at(number, budget, now)
            if free_at > now:
                return free_at
            rows[api] = replace(state, used_until=state.begins(budget, now) + budget.cost(number))
            return None

    @override
    def close(self, tenant_id: TenantId, *, api: str, until: datetime) -> None:
        with self._store.changed:
            rows = self._store.of(tenant_id).budgets
            state = rows.get(api, _UNUSED)
            rows[api] = replace(state, closed_until=max(state.closed_until, until))
