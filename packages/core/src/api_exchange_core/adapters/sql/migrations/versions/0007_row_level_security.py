"""Row-level security, and the roles that it tells apart; SQLite has neither."""

from __future__ import annotations

from collections.abc import Mapping

from alembic import op

from api_exchange_core.adapters.sql.migrate import VERSION_TABLE
from api_exchange_core.adapters.sql.roles import Rights, create_roles
from api_exchange_core.adapters.sql.row_security import grant, grant_schema, protect, revoke, unprotect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OF_TENANTS: Mapping[str, Rights] = {
    "api_keys": Rights.of("", "SELECT INSERT DELETE"),
    "entities": Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"),
    "entity_versions": Rights.of("SELECT INSERT", "SELECT DELETE"),
    "journal": Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"),
    "outbox": Rights.of("SELECT INSERT", "SELECT UPDATE DELETE"),
    "queue": Rights.of("SELECT INSERT DELETE", "SELECT INSERT UPDATE DELETE"),
    "errors": Rights.of("SELECT INSERT", "SELECT DELETE"),
    "error_groups": Rights.of("SELECT INSERT UPDATE", "SELECT UPDATE DELETE"),
    "dead_letter_job_items": Rights.of("", "SELECT INSERT UPDATE DELETE"),
}
OF_NO_TENANT: Mapping[str, Rights] = {
    "tenants": Rights.of("", "SELECT INSERT UPDATE"),
    "chore_leases": Rights.of("", "SELECT INSERT UPDATE"),
    "dead_letter_jobs": Rights.of("", "SELECT INSERT UPDATE"),
    "erasures": Rights.of("", "SELECT INSERT UPDATE"),
}


def upgrade() -> None:
    """Make the roles, and protect every table with a ``tenant_id``."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    create_roles(connection)
    grant_schema(connection)
    for table, rights in OF_TENANTS.items():
        protect(connection, table, rights)
    for table, rights in OF_NO_TENANT.items():
        grant(connection, table, rights)
    op.execute(f"GRANT SELECT ON {VERSION_TABLE} TO PUBLIC")  # each start asks for it, as whoever logs in


def downgrade() -> None:
    """Lay the tables open. The roles stay: other databases of the cluster may need them."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    for table in OF_TENANTS:
        unprotect(connection, table)
    for table in OF_NO_TENANT:
        revoke(connection, table)
    op.execute(f"REVOKE SELECT ON {VERSION_TABLE} FROM PUBLIC")  # noqa: S608 - our own constant
