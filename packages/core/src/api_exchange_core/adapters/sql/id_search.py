"""Finding rows by an id alone, when nobody says whose they are.

The tenant leads every index. These statements go through the tenants (and the few functions of each) and look into the
index once for each: some lookups for an operator's question, in place of one more index that every message pays for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, Table, bindparam, func, select

from api_exchange_core.adapters.sql.schema import entities, journal, tenants
from api_exchange_core.domain.names import TenantId

ID: Final = "searched"
"""Name of the statements' parameter."""


def tenants_with(
    column: Column[Any],
    tenant_id: TenantId | None,
    *,
    tenant: Column[Any],
    where: Sequence[ColumnElement[bool]] = (),
) -> Select[Any]:
    """The tenants that have a row with *column* equal to `ID` that fulfils *where*; *tenant* is the row's own."""
    # A scalar, which is looked up for each tenant; EXISTS might be answered by reading all of the table.
    found = (
        select(column)
        .where(tenant == tenants.c.id, column == bindparam(ID), *where)
        .limit(1)
        .scalar_subquery()
    )
    asked = select(tenants.c.id.label("tenant_id"), found.label("found"))
    return _only(asked, tenant_id).order_by(tenants.c.id)


def requests_of_message(tenant_id: TenantId | None) -> Select[Any]:
    """The requests of the messages with `ID`: a tenant and a correlation id, or None, for each function of each."""
    functions = _distinct(journal, journal.c.function, tenant_id)
    found = (
        select(journal.c.correlation_id)
        .where(
            journal.c.tenant_id == functions.c.tenant_id,
            journal.c.function == functions.c.value,
            journal.c.message_id == bindparam(ID),
        )
        .scalar_subquery()
    )
    return select(functions.c.tenant_id, found.label("found")).where(functions.c.value.is_not(None))


def kinds_of_entities(tenant_id: TenantId | None) -> Select[Any]:
    """Tenant, type and source of which there are entities."""
    types = _distinct(entities, entities.c.canonical_type, tenant_id)

    def source(above: ColumnElement[Any] | None, tenant: Any, kind: Any) -> Any:
        asked = select(func.min(entities.c.source)).where(
            entities.c.tenant_id == tenant, entities.c.canonical_type == kind
        )
        return (asked if above is None else asked.where(entities.c.source > above)).scalar_subquery()

    first = (
        select(types.c.tenant_id, types.c.value.label("canonical_type"))
        .add_columns(source(None, types.c.tenant_id, types.c.value).label("source"))
        .where(types.c.value.is_not(None))
        .cte("sources", recursive=True)
    )
    step = select(
        first.c.tenant_id,
        first.c.canonical_type,
        source(first.c.source, first.c.tenant_id, first.c.canonical_type),
    ).where(first.c.source.is_not(None))
    sources = first.union_all(step)
    return (
        select(sources)
        .where(sources.c.source.is_not(None))
        .order_by(sources.c.tenant_id, sources.c.canonical_type, sources.c.source)
    )


def _distinct(table: Table, column: Column[Any], tenant_id: TenantId | None) -> Any:
    """Each tenant with each of its values of *column*, which is next in an index: one lookup a value.

    The rows with None in them end the recursion and mean nothing.
    """

    def least(tenant: Any, above: Any = None) -> Any:
        asked = select(func.min(column)).where(table.c.tenant_id == tenant)
        return (asked if above is None else asked.where(column > above)).scalar_subquery()

    first = _only(select(tenants.c.id.label("tenant_id"), least(tenants.c.id).label("value")), tenant_id).cte(
        f"{table.name}_{column.name}s", recursive=True
    )
    step = select(first.c.tenant_id, least(first.c.tenant_id, first.c.value)).where(
        first.c.value.is_not(None)
    )
    return first.union_all(step)


def _only(asked: Select[Any], tenant_id: TenantId | None) -> Select[Any]:
    return asked if tenant_id is None else asked.where(tenants.c.id == tenant_id)
