"""The request log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.roles import Rights
from api_exchange_core.adapters.sql.row_security import protect, unprotect
from api_exchange_core.adapters.sql.time_types import UtcDateTime

revision = "0013"
down_revision = "0008"
branch_labels = None
depends_on = None

RIGHTS = Rights.of("SELECT INSERT UPDATE", "SELECT DELETE")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "requests",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("function", sa.String(59), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("held_until", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "function", "key", name="pk_requests"),
    )
    protect(op.get_bind(), "requests", RIGHTS)


def downgrade() -> None:
    """Drop it: requests that come again are known by the journal alone."""
    unprotect(op.get_bind(), "requests")
    op.drop_table("requests")
