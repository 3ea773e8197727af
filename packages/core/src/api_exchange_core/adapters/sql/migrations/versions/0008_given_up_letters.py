"""Which function gave up a letter of a job's selection."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FUNCTION = sa.String(59)


def upgrade() -> None:
    """Add the column. A job that was selected before releases nothing, as when it was ordered."""
    op.add_column("dead_letter_job_items", sa.Column("given_up_by", FUNCTION, nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("dead_letter_job_items", "given_up_by")
