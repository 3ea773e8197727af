"""The table of the framework's own work."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from api_exchange_core.adapters.sql.schema.columns import metadata
from api_exchange_core.adapters.sql.time_types import UtcDateTime

chore_leases = Table(
    "chore_leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text),
    Column("until", UtcDateTime),
    Column("last_run_at", UtcDateTime),
)
