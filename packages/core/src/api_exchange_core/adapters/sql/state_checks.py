"""Changing the states that a table allows: for migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations


@contextmanager
def allowing(table_name: str, states: Sequence[str]) -> Iterator[BatchOperations]:
    """Change a table, whose column ``state`` is then checked to be one of *states*.

    Rows in another state must be gone before.
    """
    name = op.f(f"ck_{table_name}_state")
    condition = "state IN ({})".format(", ".join(f"'{state}'" for state in states))
    if op.get_bind().dialect.name == "sqlite":
        # The table is made anew. Some releases of SQLAlchemy read its old check from the database, and some do not.
        table = sa.Table(table_name, sa.MetaData(), autoload_with=op.get_bind())
        table.constraints = {one for one in table.constraints if not isinstance(one, sa.CheckConstraint)}
        check = sa.CheckConstraint(condition, name=name)
        with op.batch_alter_table(
            table_name, copy_from=table, table_args=(check,), recreate="always"
        ) as batch:
            yield batch
    else:
        op.drop_constraint(name, table_name, type_="check")
        with op.batch_alter_table(table_name) as batch:
            yield batch
        op.create_check_constraint(name, table_name, condition)
