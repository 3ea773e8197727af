"""Claims of exclusive functions in the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.state_checks import allowing
from api_exchange_core.adapters.sql.time_types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEFORE = ("completed", "retrying", "dead")
AFTER = (*BEFORE, "running", "held", "given_up")


def upgrade() -> None:
    """Add the fence, the end of the lease, and the states that they are for."""
    with allowing("journal", AFTER) as batch:
        batch.add_column(sa.Column("fence", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("leased_until", UtcDateTime))


def downgrade() -> None:
    """Take them away; what was claimed, held or given up waits for a retry again."""
    op.execute("UPDATE journal SET state = 'retrying' WHERE state IN ('running', 'held', 'given_up')")
    with allowing("journal", BEFORE) as batch:
        batch.drop_column("leased_until")
        batch.drop_column("fence")
