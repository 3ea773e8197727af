"""The tables of tenants: who there is, their keys, and what was erased."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, String, Table, Text

from api_exchange_core.adapters.sql.schema.columns import TENANT, metadata
from api_exchange_core.adapters.sql.time_types import UtcDateTime

tenants = Table(
    "tenants",
    metadata,
    Column("id", TENANT, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # domain.tenant.folded. Always filled; SQLite adds no column without a default that is not nullable, and makes no
    # table anew that another one refers to.
    Column("folded_id", TENANT),
    Column("config", JSON, nullable=False, server_default="{}"),
    Column("erased_at", UtcDateTime),
    Index(None, "folded_id", unique=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),  # SHA-256 in hexadecimal
    Column("tenant_id", TENANT, ForeignKey("tenants.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Has no column called tenant_id: that is how a table says that its rows are a tenant's and go with it.
erasures = Table(
    "erasures",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", TENANT, nullable=False),
    Column("entity_proof", String(64)),  # domain.erasure.Subject.proof
    Column("requested_by", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("removed", JSON, nullable=False),
)
