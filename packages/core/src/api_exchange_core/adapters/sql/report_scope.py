"""The scope that a report is asked in: that of the one tenant it is about, or across all of them.

A report of one tenant filters by it as well. In PostgreSQL the policies then hold where a condition is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from api_exchange_core.adapters.sql import engine as plain
from api_exchange_core.adapters.sql.scope import Scope
from api_exchange_core.domain.names import TenantId


@contextmanager
def reading(engine: Engine, tenant_id: TenantId | None) -> Iterator[Connection]:
    """A connection for statements that only read what belongs to *tenant_id*; None for all tenants."""
    with plain.reading(engine) as connection:
        yield _scope(tenant_id).on(connection)


@contextmanager
def writing(engine: Engine, tenant_id: TenantId | None) -> Iterator[Connection]:
    """A transaction on rows of *tenant_id*, committed when the block ends without an error; None for all tenants."""
    with plain.writing(engine) as connection:
        yield _scope(tenant_id).on(connection)


def _scope(tenant_id: TenantId | None) -> Scope:
    return Scope.across_tenants() if tenant_id is None else Scope.of_tenant(tenant_id)
