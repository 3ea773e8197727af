"""Credentials of tenants, sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.roles import Rights
from api_exchange_core.adapters.sql.row_security import protect
from api_exchange_core.adapters.sql.time_types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table. Functions read it; operators alone change it."""
    op.create_table(
        "credentials",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("system", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("set_at", UtcDateTime, nullable=False),
        sa.Column("set_by", sa.Text, nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("previous_until", UtcDateTime),
        sa.PrimaryKeyConstraint("tenant_id", "system", name="pk_credentials"),
    )
    protect(op.get_bind(), "credentials", Rights.of("SELECT", "SELECT INSERT UPDATE DELETE"))


def downgrade() -> None:
    """Drop it, with what is in it."""
    op.drop_table("credentials")
