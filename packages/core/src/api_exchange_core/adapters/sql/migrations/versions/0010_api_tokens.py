"""Tokens for other people's APIs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.roles import Rights
from api_exchange_core.adapters.sql.row_security import protect, unprotect
from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "api_tokens"
IDENTIFIER = sa.String(255)
RIGHTS = Rights.of("SELECT INSERT UPDATE", "SELECT UPDATE DELETE")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        TABLE,
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("api", IDENTIFIER, nullable=False),
        sa.Column("scope", IDENTIFIER, nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
        sa.Column("token_id", sa.String(36)),
        sa.Column("sealed", sa.Text),
        sa.Column("refresh", sa.Text),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("lifetime", Duration),
        sa.Column("live_until", UtcDateTime),
        sa.Column("lease_owner", sa.String(36)),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("barred_until", UtcDateTime),
        sa.Column("uses", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "api", "scope", "slot", name="pk_api_tokens"),
    )
    protect(op.get_bind(), TABLE, RIGHTS)


def downgrade() -> None:
    """Drop it, and the tokens in it: the next release asks for others."""
    unprotect(op.get_bind(), TABLE)
    op.drop_table(TABLE)
