"""Configuration and erasure of tenants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.time_types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TENANT = sa.String(64)


def upgrade() -> None:
    """Make them."""
    op.add_column("tenants", sa.Column("folded_id", TENANT, nullable=True))
    op.add_column("tenants", sa.Column("config", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("tenants", sa.Column("erased_at", UtcDateTime, nullable=True))
    op.execute("UPDATE tenants SET folded_id = lower(id)")
    op.create_index("ix_tenants_folded_id", "tenants", ["folded_id"], unique=True)
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("entity_proof", sa.String(64), nullable=True),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.Column("removed", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )


def downgrade() -> None:
    """Undo them: who was erased is forgotten."""
    op.drop_table("erasures")
    op.drop_index("ix_tenants_folded_id", "tenants")
    for column in ("erased_at", "config", "folded_id"):
        op.drop_column("tenants", column)
