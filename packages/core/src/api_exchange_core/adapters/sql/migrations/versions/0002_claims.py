"""Claims of exclusive functions in the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from api_exchange_core.adapters.sql.time_types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CHECK = "ck_journal_state"
BEFORE = ("completed", "retrying", "dead")
AFTER = (*BEFORE, "running", "held", "given_up")


def upgrade() -> None:
    """Add the fence, the end of the lease, and the states that they are for."""
    with _journal(AFTER) as batch:
        batch.add_column(sa.Column("fence", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("leased_until", UtcDateTime))


def downgrade() -> None:
    """Take them away; what was claimed, held or given up waits for a retry again."""
    op.execute("UPDATE journal SET state = 'retrying' WHERE state IN ('running', 'held', 'given_up')")
    with _journal(BEFORE) as batch:
        batch.drop_column("leased_until")
        batch.drop_column("fence")


@contextmanager
def _journal(states: Sequence[str]) -> Iterator[BatchOperations]:
    """Change the journal, whose state may then be one of *states*."""
    condition = "state IN ({})".format(", ".join(f"'{state}'" for state in states))
    if op.get_bind().dialect.name == "sqlite":
        # The table is made anew. Some releases of SQLAlchemy read its old check from the database, and some do not.
        table = sa.Table("journal", sa.MetaData(), autoload_with=op.get_bind())
        table.constraints = {one for one in table.constraints if not isinstance(one, sa.CheckConstraint)}
        check = sa.CheckConstraint(condition, name=op.f(CHECK))
        with op.batch_alter_table(
            "journal", copy_from=table, table_args=(check,), recreate="always"
        ) as batch:
            yield batch
    else:
        op.drop_constraint(op.f(CHECK), "journal", type_="check")
        with op.batch_alter_table("journal") as batch:
            yield batch
        op.create_check_constraint(op.f(CHECK), "journal", condition)
