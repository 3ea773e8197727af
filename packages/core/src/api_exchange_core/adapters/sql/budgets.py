"""Budgets in a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, BindParameter, Engine, Row, bindparam, case, select
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from api_exchange_core.adapters.sql.schema import rate_budgets
from api_exchange_core.adapters.sql.time_types import check_aware, microseconds
from api_exchange_core.adapters.sql.transaction import Transaction
from api_exchange_core.domain.budget import MAX_SKEW, Budget, BudgetState, check_number
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.budgets import Budgets

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_now, _sane, _cost, _full, _until = (
    bindparam(name, type_=BigInteger) for name in ("now", "sane", "cost", "full", "until")
)
_key: dict[str, BindParameter[Any]] = {"tenant_id": bindparam("of_tenant"), "api": bindparam("of_api")}

# domain.budget.BudgetState, where the row is.
_is_sane = (rate_budgets.c.used_until > _now) & (rate_budgets.c.used_until <= _sane)
_begins = case((_is_sane, rate_budgets.c.used_until), else_=_now)
_may = (rate_budgets.c.closed_until <= _now) & (_begins + _cost <= _full)

_KNOWN: Final = select(rate_budgets.c.used_until, rate_budgets.c.closed_until).where(
    rate_budgets.c.tenant_id == bindparam("of_tenant"), rate_budgets.c.api == bindparam("of_api")
)


def _taking(insert: postgresql.Insert | sqlite.Insert) -> Any:
    return (
        insert.values(**_key, used_until=_now + _cost, closed_until=0)
        .on_conflict_do_update(
            index_elements=["tenant_id", "api"], set_={"used_until": _begins + _cost}, where=_may
        )
        .returning(rate_budgets.c.used_until)
    )


def _closing(insert: postgresql.Insert | sqlite.Insert) -> Any:
    return insert.values(**_key, used_until=0, closed_until=_until).on_conflict_do_update(
        index_elements=["tenant_id", "api"],
        set_={"closed_until": _until},
        where=rate_budgets.c.closed_until < _until,
    )


_TAKE: Final = {
    "sqlite": _taking(sqlite.insert(rate_budgets)),
    "postgresql": _taking(postgresql.insert(rate_budgets)),
}
_CLOSE: Final = {
    "sqlite": _closing(sqlite.insert(rate_budgets)),
    "postgresql": _closing(postgresql.insert(rate_budgets)),
}


@dataclass(frozen=True, slots=True)
class SqlBudgets(Budgets):
    """The budgets of a database: a row a tenant and API. To take is one statement, which waits for its row alone."""

    engine: Engine

    @override
    def take(
        self, tenant_id: TenantId, *, api: str, number: int, budget: Budget, now: datetime
    ) -> datetime | None:
        check_number(number, budget)
        full = budget.cost(budget.most_at_once)
        values = {
            "of_tenant": tenant_id,
            "of_api": api,
            "now": _stored(now),
            "sane": _stored(now + full + MAX_SKEW),
            "cost": microseconds(budget.cost(number)),
            "full": _stored(now + full),
        }
        transaction = Transaction(self.engine, tenant_id)
        try:
            with transaction.writing() as connection:
                taken = connection.execute(_TAKE[self.engine.dialect.name], values).first()
                known = None if taken is not None else connection.execute(_KNOWN, values).one()
            transaction.commit()
        finally:
            transaction.close()
        return None if known is None else max(now, _state(known).free_at(number, budget, now))

    @override
    def close(self, tenant_id: TenantId, *, api: str, until: datetime) -> None:
        values = {"of_tenant": tenant_id, "of_api": api, "until": _stored(until)}
        transaction = Transaction(self.engine, tenant_id)
        try:
            with transaction.writing() as connection:
                connection.execute(_CLOSE[self.engine.dialect.name], values)
            transaction.commit()
        finally:
            transaction.close()


def _stored(time: datetime) -> int:
    """Microseconds since 1970, with which both databases reckon alike."""
    check_aware(time)
    return microseconds(time - _EPOCH)


def _state(row: Row[*tuple[Any, ...]]) -> BudgetState:
    return BudgetState(
        *(_EPOCH + timedelta(microseconds=value) for value in (row.used_until, row.closed_until))
    )
