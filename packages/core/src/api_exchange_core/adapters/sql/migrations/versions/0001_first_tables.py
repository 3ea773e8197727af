"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

IDENTIFIER = sa.String(255)
TENANT = sa.String(64)
FUNCTION = sa.String(59)
QUEUE = sa.String(63)
ENTITY = sa.String(36)
HAS_ORDERING_KEY = sa.text("ordering_key IS NOT NULL")


def upgrade() -> None:
    """Make them."""
    _tenants()
    _entities()
    _journal()
    _outbox()
    _queue()
    _errors()


def downgrade() -> None:
    """Drop them, with all that is in them."""
    tables = ("errors", "queue", "outbox", "journal", "entity_versions", "entities", "api_keys", "tenants")
    for table in tables:
        op.drop_table(table)


def _serial() -> sa.Column[int]:
    return sa.Column(
        "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), nullable=False
    )


def _tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", TENANT, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("tenant_id", TENANT, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_api_keys_tenant_id_tenants"),
    )


def _entities() -> None:
    op.create_table(
        "entities",
        sa.Column("tenant_id", TENANT, nullable=False),
        sa.Column("id", ENTITY, nullable=False),
        sa.Column("canonical_type", IDENTIFIER, nullable=False),
        sa.Column("source", IDENTIFIER, nullable=False),
        sa.Column("external_id", IDENTIFIER, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("source_version", sa.BigInteger),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_entities"),
    )
    op.create_index(
        "ix_entities_tenant_id_canonical_type_source_content_hash",
        "entities",
        ["tenant_id", "canonical_type", "source", "content_hash"],
    )
    op.create_table(
        "entity_versions",
        sa.Column("tenant_id", TENANT, nullable=False),
        sa.Column("entity_id", ENTITY, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("field_hashes", sa.JSON, nullable=False),
        sa.Column("message_id", IDENTIFIER),
        sa.Column("correlation_id", IDENTIFIER),
        sa.Column("operation", IDENTIFIER),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "entity_id", "version", name="pk_entity_versions"),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("tenant_id", TENANT, nullable=False),
        sa.Column("function", FUNCTION, nullable=False),
        sa.Column("message_id", IDENTIFIER, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("correlation_id", IDENTIFIER, nullable=False),
        sa.Column("causation_id", IDENTIFIER),
        sa.Column("entity_id", sa.Text),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.PrimaryKeyConstraint("tenant_id", "function", "message_id", name="pk_journal"),
        sa.CheckConstraint("state IN ('completed', 'retrying', 'dead')", name=op.f("ck_journal_state")),
    )
    op.create_index("ix_journal_tenant_id_correlation_id", "journal", ["tenant_id", "correlation_id"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        _serial(),
        sa.Column("tenant_id", TENANT, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("message_id", IDENTIFIER),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("delay", Duration, nullable=False),
        sa.Column("ordering_key", sa.Text),
        sa.Column("properties", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("claimed_until", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.CheckConstraint("kind IN ('queue', 'file')", name=op.f("ck_outbox_kind")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_due_at_id", "outbox", ["due_at", "id"])
    op.create_index(
        "ix_outbox_tenant_id_name_ordering_key_id",
        "outbox",
        ["tenant_id", "name", "ordering_key", "id"],
        postgresql_where=HAS_ORDERING_KEY,
        sqlite_where=HAS_ORDERING_KEY,
    )


def _queue() -> None:
    op.create_table(
        "queue",
        _serial(),
        sa.Column("queue", QUEUE, nullable=False),
        sa.Column("tenant_id", TENANT),
        sa.Column("message_id", IDENTIFIER),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("ordering_key", sa.Text),
        sa.Column("properties", sa.JSON, nullable=False),
        sa.Column("visible_at", UtcDateTime, nullable=False),
        sa.Column("receive_count", sa.Integer, nullable=False),
        sa.Column("receipt", sa.Text),
        sa.Column("enqueued_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue"),
    )
    op.create_index("ix_queue_queue_visible_at_id", "queue", ["queue", "visible_at", "id"])
    op.create_index(
        "ix_queue_queue_tenant_id_ordering_key_id",
        "queue",
        ["queue", "tenant_id", "ordering_key", "id"],
        postgresql_where=HAS_ORDERING_KEY,
        sqlite_where=HAS_ORDERING_KEY,
    )


def _errors() -> None:
    op.create_table(
        "errors",
        _serial(),
        sa.Column("tenant_id", TENANT, nullable=False),
        sa.Column("function", FUNCTION, nullable=False),
        sa.Column("message_id", IDENTIFIER, nullable=False),
        sa.Column("correlation_id", IDENTIFIER, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("permanent", sa.Boolean, nullable=False),
        sa.Column("retry_after", Duration),
        sa.Column("defer", Duration),
        sa.Column("stack", sa.Text, nullable=False),
        sa.Column("occurred_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_errors"),
    )
    op.create_index("ix_errors_tenant_id_message_id_id", "errors", ["tenant_id", "message_id", "id"])
