"""Queues by tenant, outbox rows that are tried again later, and leases of chores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.time_types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BY_TIME = "ix_queue_queue_visible_at_id"
BY_TENANT = "ix_queue_queue_tenant_id_visible_at_id"


def upgrade() -> None:
    """Make them."""
    op.create_index(BY_TENANT, "queue", ["queue", "tenant_id", "visible_at", "id"])
    op.drop_index(BY_TIME, "queue")
    op.add_column("outbox", sa.Column("attempts", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "chore_leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("until", UtcDateTime),
        sa.Column("last_run_at", UtcDateTime),
        sa.PrimaryKeyConstraint("name", name="pk_chore_leases"),
    )


def downgrade() -> None:
    """Drop them; queues go back to being served by time alone."""
    op.drop_table("chore_leases")
    op.drop_column("outbox", "attempts")
    op.create_index(BY_TIME, "queue", ["queue", "visible_at", "id"])
    op.drop_index(BY_TENANT, "queue")
