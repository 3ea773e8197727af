"""The tables that access to other people's APIs needs: credentials, tokens, budgets of requests."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Table, Text

from api_exchange_core.adapters.sql.schema.columns import IDENTIFIER, TENANT, metadata
from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime
from api_exchange_core.domain.credentials import MAX_SYSTEM

credentials = Table(
    "credentials",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("system", String(MAX_SYSTEM), nullable=False),
    Column("version", Integer, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("previous", Text),
    Column("previous_until", UtcDateTime),
    PrimaryKeyConstraint("tenant_id", "system"),
)

rate_budgets = Table(
    "rate_budgets",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("api", IDENTIFIER, nullable=False),
    # Microseconds since 1970: the statement that takes reckons with them, alike on both databases.
    Column("used_until", BigInteger, nullable=False),
    Column("closed_until", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "api"),
)

# A row a token that is kept at a time. Points in time are of the clock of `SqlTokenStore`, and of no instance.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("api", IDENTIFIER, nullable=False),
    Column("scope", IDENTIFIER, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("token_id", String(36)),
    Column("sealed", Text),
    Column("refresh", Text),
    Column("expires_at", UtcDateTime),
    Column("lifetime", Duration),
    Column("live_until", UtcDateTime),
    Column("lease_owner", String(36)),
    Column("lease_until", UtcDateTime),
    Column("fence", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("barred_until", UtcDateTime),
    Column("uses", BigInteger, nullable=False, server_default="0"),
    Column("changed_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "api", "scope", "slot"),
)
