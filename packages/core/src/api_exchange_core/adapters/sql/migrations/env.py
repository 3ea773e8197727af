"""What Alembic runs; see `api_exchange_core.adapters.sql.migrate`."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.migrate import VERSION_TABLE, locked
from api_exchange_core.adapters.sql.schema import metadata


def run(connection: Connection) -> None:
    """Run what the command asked for, in the transaction that *connection* is in."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",  # whose ALTER TABLE can do little
    )
    context.run_migrations()


def run_by_hand() -> None:
    """Run it on the database that the environment names."""
    engine = create_engine_for(os.environ["API_EXCHANGE_DATABASE_URL"])
    try:
        with locked(engine) as connection:
            run(connection)
    finally:
        engine.dispose()


given = context.config.attributes.get("connection")
if given is None:
    run_by_hand()
else:
    run(given)
