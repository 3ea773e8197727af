"""Checkpoints of sources."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.roles import Rights
from api_exchange_core.adapters.sql.row_security import protect, unprotect
from api_exchange_core.adapters.sql.time_types import UtcDateTime

revision = "0012"
down_revision = "0008"
branch_labels = None
depends_on = None

TENANT = sa.String(64)
IDENTIFIER = sa.String(255)


def upgrade() -> None:
    """Make their table, whose rows are a tenant's each."""
    op.create_table(
        "checkpoints",
        sa.Column("tenant_id", TENANT, nullable=False),
        sa.Column("source", IDENTIFIER, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("watermark", UtcDateTime),
        sa.Column("seen", sa.Text, nullable=False),
        sa.Column("run", sa.Text),
        sa.Column("runner", IDENTIFIER),
        sa.Column("leased_until", UtcDateTime),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "source", name="pk_checkpoints"),
    )
    protect(op.get_bind(), "checkpoints", Rights.of("SELECT INSERT UPDATE", "SELECT DELETE"))


def downgrade() -> None:
    """Drop it: every source begins anew."""
    unprotect(op.get_bind(), "checkpoints")
    op.drop_table("checkpoints")
