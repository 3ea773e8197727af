"""The tables of what comes in from other systems: entities, their versions, and how far sources were read."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from api_exchange_core.adapters.sql.schema.columns import ENTITY, IDENTIFIER, TENANT, metadata
from api_exchange_core.adapters.sql.time_types import UtcDateTime

entities = Table(
    "entities",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("id", ENTITY, nullable=False),
    Column("canonical_type", IDENTIFIER, nullable=False),
    Column("source", IDENTIFIER, nullable=False),
    Column("external_id", IDENTIFIER, nullable=False),
    Column("version", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("source_version", BigInteger),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index(None, "tenant_id", "canonical_type", "source", "content_hash"),  # suspected duplicates
)

entity_versions = Table(
    "entity_versions",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("entity_id", ENTITY, nullable=False),
    Column("version", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("field_hashes", JSON, nullable=False),
    Column("message_id", IDENTIFIER),
    Column("correlation_id", IDENTIFIER),
    Column("operation", IDENTIFIER),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "entity_id", "version"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("source", IDENTIFIER, nullable=False),
    Column("version", Integer, nullable=False),
    Column(
        "cursor", Text, nullable=False
    ),  # JSON as text, as seen and run are: numbers keep all their digits
    Column("watermark", UtcDateTime),
    Column("seen", Text, nullable=False),
    Column("run", Text),
    Column("runner", IDENTIFIER),
    Column("leased_until", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "source"),
)
