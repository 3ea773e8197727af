"""The tables of messages: what was taken in, what waits, what goes out, and what became of each."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from api_exchange_core.adapters.sql.schema.columns import (
    FUNCTION,
    IDENTIFIER,
    QUEUE,
    TENANT,
    metadata,
    serial,
)
from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime
from api_exchange_core.ports.journal import ProcessingState

_KNOWN_STATES = ", ".join(f"'{state}'" for state in ProcessingState)

FAILED: Final = text("state IN ('dead', 'retrying')")
"""What of the journal has an index of its own, which a message that succeeds at once never touches."""

journal = Table(
    "journal",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("function", FUNCTION, nullable=False),
    Column("message_id", IDENTIFIER, nullable=False),
    Column("state", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("correlation_id", IDENTIFIER, nullable=False),
    Column("causation_id", IDENTIFIER),
    Column("entity_id", Text),  # as a message names it, which may come from elsewhere
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("fingerprint", Text),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("leased_until", UtcDateTime),
    Column("operation", IDENTIFIER),
    Column("waited", Duration),  # spans and not times: numbers on both databases, for percentiles
    Column("took", Duration),
    PrimaryKeyConstraint("tenant_id", "function", "message_id"),
    Index(None, "tenant_id", "correlation_id"),
    Index(None, "finished_at"),  # what happened lately, across tenants; grows at its end
    CheckConstraint(f"state IN ({_KNOWN_STATES})", name="state"),
)
Index("ix_journal_failed", journal.c.finished_at, postgresql_where=FAILED, sqlite_where=FAILED)
# Not of all messages: ids of entities are random, and an index of them costs a flush a fifth of its time.
Index(
    "ix_journal_failed_entity",
    journal.c.tenant_id,
    journal.c.entity_id,
    postgresql_where=FAILED,
    sqlite_where=FAILED,
)

outbox = Table(
    "outbox",
    metadata,
    serial(),
    Column("tenant_id", TENANT, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("message_id", IDENTIFIER),
    Column("body", LargeBinary, nullable=False),
    Column("delay", Duration, nullable=False),
    Column("ordering_key", Text),
    Column("properties", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("claimed_until", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),  # that ended in "never"
    CheckConstraint("kind IN ('queue', 'file')", name="kind"),
    Index(None, "due_at", "id"),
    # A number is never given twice: taking off a row late must not take off another.
    sqlite_autoincrement=True,
)
Index(
    None,
    outbox.c.tenant_id,
    outbox.c.name,
    outbox.c.ordering_key,
    outbox.c.id,
    postgresql_where=outbox.c.ordering_key.is_not(None),
    sqlite_where=outbox.c.ordering_key.is_not(None),
)

queue = Table(
    "queue",
    metadata,
    serial(),
    Column("queue", QUEUE, nullable=False),
    Column("tenant_id", TENANT),  # unknown if it was put here by somebody else
    Column("message_id", IDENTIFIER),
    Column("body", LargeBinary, nullable=False),
    Column("ordering_key", Text),
    Column("properties", JSON, nullable=False),
    Column("visible_at", UtcDateTime, nullable=False),
    Column("receive_count", Integer, nullable=False),
    Column("receipt", Text),
    Column("enqueued_at", UtcDateTime, nullable=False),
    Index(None, "queue", "tenant_id", "visible_at", "id"),
)
Index(
    None,
    queue.c.queue,
    queue.c.tenant_id,
    queue.c.ordering_key,
    queue.c.id,
    postgresql_where=queue.c.ordering_key.is_not(None),
    sqlite_where=queue.c.ordering_key.is_not(None),
)

requests = Table(
    "requests",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("function", FUNCTION, nullable=False),
    Column("key", String(64), nullable=False),  # domain.idempotency.RequestKey, as the next one
    Column("fingerprint", String(64), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("held_until", UtcDateTime),  # while it is being taken in
    PrimaryKeyConstraint("tenant_id", "function", "key"),
)
