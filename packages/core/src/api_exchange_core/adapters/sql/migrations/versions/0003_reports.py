"""What reports need: columns and indexes of the journal and of errors, and groups of errors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IDENTIFIER = sa.String(255)
QUEUE = sa.String(63)
FAILED = sa.text("state IN ('dead', 'retrying')")


def upgrade() -> None:
    """Add them. What was recorded before has none of the new values, and is in no group."""
    op.add_column("journal", sa.Column("operation", IDENTIFIER))
    op.add_column("journal", sa.Column("waited", Duration))
    op.add_column("journal", sa.Column("took", Duration))
    op.create_index("ix_journal_finished_at", "journal", ["finished_at"])
    op.create_index(
        "ix_journal_failed", "journal", ["finished_at"], postgresql_where=FAILED, sqlite_where=FAILED
    )
    op.create_index(
        "ix_journal_failed_entity",
        "journal",
        ["tenant_id", "entity_id"],
        postgresql_where=FAILED,
        sqlite_where=FAILED,
    )
    op.add_column("errors", sa.Column("operation", IDENTIFIER))
    op.add_column("errors", sa.Column("queue", QUEUE))
    op.create_index("ix_errors_occurred_at", "errors", ["occurred_at"])
    _error_groups()


def downgrade() -> None:
    """Take them away."""
    op.drop_table("error_groups")
    op.drop_index("ix_errors_occurred_at", "errors")
    for column in ("queue", "operation"):
        op.drop_column("errors", column)
    for index in ("ix_journal_failed_entity", "ix_journal_failed", "ix_journal_finished_at"):
        op.drop_index(index, "journal")
    for column in ("took", "waited", "operation"):
        op.drop_column("journal", column)


def _error_groups() -> None:
    op.create_table(
        "error_groups",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("function", sa.String(59), nullable=False),
        sa.Column("operation", IDENTIFIER),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stack", sa.Text, nullable=False),
        sa.Column("message_id", IDENTIFIER, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("first_seen", UtcDateTime, nullable=False),
        sa.Column("last_seen", UtcDateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("resolved_at", UtcDateTime),
        sa.Column("resolved_by", sa.Text),
        sa.PrimaryKeyConstraint("tenant_id", "fingerprint", name="pk_error_groups"),
        sa.CheckConstraint("state IN ('open', 'resolved', 'regressed')", name=op.f("ck_error_groups_state")),
    )
    op.create_index("ix_error_groups_fingerprint", "error_groups", ["fingerprint"])
    op.create_index("ix_error_groups_last_seen", "error_groups", ["last_seen"])
