"""What is kept of budgets in memory."""

from __future__ import annotations

from api_exchange_core.domain.budget import BudgetState

BudgetRows = dict[str, BudgetState]
"""By API."""
