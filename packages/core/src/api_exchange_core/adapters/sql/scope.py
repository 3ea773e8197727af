"""As whom a transaction runs in PostgreSQL: in one role, and for one tenant or across them.

Role and tenant are settings that end with the transaction, so the next one on the same connection, which behind
PgBouncer may be anybody's, begins with neither. They travel in front of a transaction's first statement, in the same
round trip (libpq's pipeline mode): what opens the transaction, what sets them, and the statement itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, event

from api_exchange_core.adapters.sql.roles import OPERATOR, RUNTIME
from api_exchange_core.adapters.sql.row_security import SETTING

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExecutionContext

_SCOPE: Final = "api_exchange_scope"
_ENTER: Final = f"SELECT set_config('role', %s, true), set_config('{SETTING}', %s, true)"
_NO_TENANT: Final = ""  # which is no tenant's id; NULL cannot be set


@dataclass(frozen=True, slots=True)
class Scope:
    """What a transaction may see.

    Args:
        role: that it runs as, whoever has logged in.
        tenant_id: whose rows the policies let through.
    """

    role: str
    tenant_id: str

    @classmethod
    def of_tenant(cls, tenant_id: str) -> Scope:
        """The rows of one tenant."""
        return cls(RUNTIME, tenant_id)

    @classmethod
    def across_tenants(cls) -> Scope:
        """The rows of all tenants; use `adapters.sql.across_tenants`."""
        return cls(OPERATOR, _NO_TENANT)

    def on(self, connection: Connection) -> Connection:
        """*connection*, whose transactions from now on are in this scope. On SQLite it has no effect."""
        return connection.execution_options(**{_SCOPE: self})


def enter_scopes(engine: Engine) -> None:
    """Make *engine*, of PostgreSQL, put the scope of a connection in front of each transaction's first statement."""
    event.listen(engine, "do_execute", _execute)


def _execute(cursor: Any, statement: str, parameters: Any, context: ExecutionContext) -> bool:
    """Execute *statement* if it is the first of a scoped transaction; whether it was."""
    from psycopg.pq import TransactionStatus

    scope = context.execution_options.get(_SCOPE)
    driver = cursor.connection
    if scope is None or driver.pgconn.transaction_status != TransactionStatus.IDLE:
        return False
    with driver.pipeline():
        driver.execute(_ENTER, (scope.role, scope.tenant_id))
        cursor.execute(statement, parameters)
    return True
