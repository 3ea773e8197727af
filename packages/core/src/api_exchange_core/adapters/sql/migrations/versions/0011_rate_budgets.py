"""What tenants have used of their budgets with APIs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.roles import Rights
from api_exchange_core.adapters.sql.row_security import protect, unprotect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

RIGHTS = Rights.of("SELECT INSERT UPDATE", "SELECT DELETE")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "rate_budgets",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("api", sa.String(255), nullable=False),
        sa.Column("used_until", sa.BigInteger, nullable=False),
        sa.Column("closed_until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "api", name="pk_rate_budgets"),
    )
    protect(op.get_bind(), "rate_budgets", RIGHTS)


def downgrade() -> None:
    """Drop it: everybody begins with a whole burst."""
    unprotect(op.get_bind(), "rate_budgets")
    op.drop_table("rate_budgets")
