"""Jobs on dead letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

IDENTIFIER = sa.String(255)
TENANT = sa.String(64)
QUEUE = sa.String(63)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make their tables."""
    op.create_table(
        "dead_letter_jobs",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("ordered_by", IDENTIFIER, nullable=False),
        sa.Column("ordered_at", UtcDateTime, nullable=False),
        sa.Column("filter", sa.JSON, nullable=False),
        sa.Column("rate", sa.Float),
        sa.Column("ramp", Duration),
        sa.Column("most", sa.Integer),
        sa.Column("frozen_at", UtcDateTime),
        sa.Column("holder", IDENTIFIER),
        sa.Column("held_until", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter_jobs"),
        sa.CheckConstraint("action IN ('replay', 'discard')", name=op.f("ck_dead_letter_jobs_action")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dead_letter_job_items",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("queue", QUEUE, nullable=False),
        sa.Column("letter_id", sa.Text, nullable=False),
        sa.Column("tenant_id", TENANT),
        sa.Column("message_id", IDENTIFIER),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.PrimaryKeyConstraint("job_id", "place", name="pk_dead_letter_job_items"),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["dead_letter_jobs.id"],
            name="fk_dead_letter_job_items_job_id_dead_letter_jobs",
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'begun', 'replayed', 'discarded', 'gone', 'unconfirmed')",
            name=op.f("ck_dead_letter_job_items_state"),
        ),
    )
    op.create_index(
        "ix_dead_letter_job_items_job_id_state_place", "dead_letter_job_items", ["job_id", "state", "place"]
    )


def downgrade() -> None:
    """Drop them, with the books in them."""
    op.drop_table("dead_letter_job_items")
    op.drop_table("dead_letter_jobs")
