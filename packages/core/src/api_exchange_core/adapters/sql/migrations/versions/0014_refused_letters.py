"""Letters that a job leaves where they are, since a replay would bury them again."""

from __future__ import annotations

from alembic import op

from api_exchange_core.adapters.sql.state_checks import allowing

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BEFORE = ("waiting", "begun", "replayed", "discarded", "gone", "unconfirmed")
AFTER = (*BEFORE, "refused")


def upgrade() -> None:
    """Allow the state."""
    with allowing("dead_letter_job_items", AFTER):
        pass


def downgrade() -> None:
    """Forbid it; of what was refused the books say that it was gone, since nothing was done with it either."""
    op.execute("UPDATE dead_letter_job_items SET state = 'gone' WHERE state = 'refused'")
    with allowing("dead_letter_job_items", BEFORE):
        pass
