"""The tables.

Each row that belongs to a tenant says so first: ``tenant_id`` leads primary keys and indexes, so that a tenant's rows
lie together and every statement of the repositories is answered from one index. There are few indexes, since each
is paid for by every message.

What the domain checks has a column as wide as its check; the rest is ``text``, so that no database cuts it or
refuses it. There are no foreign keys on the hot path: versions, journal and heads are written in one transaction
by one piece of code, and a key to ``tenants`` would make every insert lock its tenant's row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime
from api_exchange_core.domain.dead_letter_job import ItemState, JobAction
from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX, MAX_IDENTIFIER, MAX_QUEUE_NAME
from api_exchange_core.ports.journal import ProcessingState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_IDENTIFIER = String(MAX_IDENTIFIER)
_TENANT = String(64)  # domain.names.tenant_id
_FUNCTION = String(MAX_QUEUE_NAME)
_QUEUE = String(MAX_QUEUE_NAME + len(DEAD_LETTER_SUFFIX))
_ENTITY = String(36)  # a UUID as text
_KNOWN_STATES = ", ".join(f"'{state}'" for state in ProcessingState)

FAILED: Final = text("state IN ('dead', 'retrying')")
"""What of the journal has an index of its own, which a message that succeeds at once never touches."""


def _serial() -> Column[Any]:
    # SQLite counts up only what is declared INTEGER PRIMARY KEY.
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)


def _one_of(name: str, values: Iterable[str]) -> str:
    return f"{name} IN ({', '.join(repr(str(value)) for value in values)})"


tenants = Table(
    "tenants",
    metadata,
    Column("id", _TENANT, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # domain.tenant.folded. Always filled; SQLite adds no column without a default that is not nullable, and makes no
    # table anew that another one refers to.
    Column("folded_id", _TENANT),
    Column("config", JSON, nullable=False, server_default="{}"),
    Column("erased_at", UtcDateTime),
    Index(None, "folded_id", unique=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),  # SHA-256 in hexadecimal
    Column("tenant_id", _TENANT, ForeignKey("tenants.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

entities = Table(
    "entities",
    metadata,
    Column("tenant_id", _TENANT, nullable=False),
    Column("id", _ENTITY, nullable=False),
    Column("canonical_type", _IDENTIFIER, nullable=False),
    Column("source", _IDENTIFIER, nullable=False),
    Column("external_id", _IDENTIFIER, nullable=False),
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
    Column("tenant_id", _TENANT, nullable=False),
    Column("entity_id", _ENTITY, nullable=False),
    Column("version", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("field_hashes", JSON, nullable=False),
    Column("message_id", _IDENTIFIER),
    Column("correlation_id", _IDENTIFIER),
    Column("operation", _IDENTIFIER),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "entity_id", "version"),
)

journal = Table(
    "journal",
    metadata,
    Column("tenant_id", _TENANT, nullable=False),
    Column("function", _FUNCTION, nullable=False),
    Column("message_id", _IDENTIFIER, nullable=False),
    Column("state", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("correlation_id", _IDENTIFIER, nullable=False),
    Column("causation_id", _IDENTIFIER),
    Column("entity_id", Text),  # as a message names it, which may come from elsewhere
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("fingerprint", Text),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("leased_until", UtcDateTime),
    Column("operation", _IDENTIFIER),
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
    _serial(),
    Column("tenant_id", _TENANT, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("message_id", _IDENTIFIER),
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
    _serial(),
    Column("queue", _QUEUE, nullable=False),
    Column("tenant_id", _TENANT),  # unknown if it was put here by somebody else
    Column("message_id", _IDENTIFIER),
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

errors = Table(
    "errors",
    metadata,
    _serial(),
    Column("tenant_id", _TENANT, nullable=False),
    Column("function", _FUNCTION, nullable=False),
    Column("message_id", _IDENTIFIER, nullable=False),
    Column("correlation_id", _IDENTIFIER, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("permanent", Boolean, nullable=False),
    Column("retry_after", Duration),
    Column("defer", Duration),
    Column("stack", Text, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("operation", _IDENTIFIER),
    Column("queue", _QUEUE),
    Index(None, "tenant_id", "message_id", "id"),
    Index(None, "occurred_at"),
)

error_groups = Table(
    "error_groups",
    metadata,
    Column("tenant_id", _TENANT, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("function", _FUNCTION, nullable=False),
    Column("operation", _IDENTIFIER),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),  # this and the next two are the newest attempt's
    Column("stack", Text, nullable=False),
    Column("message_id", _IDENTIFIER, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("resolved_by", Text),
    PrimaryKeyConstraint("tenant_id", "fingerprint"),
    Index(None, "fingerprint"),  # a failure of all tenants
    Index(None, "last_seen"),
    CheckConstraint("state IN ('open', 'resolved', 'regressed')", name="state"),
)

chore_leases = Table(
    "chore_leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text),
    Column("until", UtcDateTime),
    Column("last_run_at", UtcDateTime),
)

dead_letter_jobs = Table(
    "dead_letter_jobs",
    metadata,
    _serial(),
    Column("action", String(16), nullable=False),
    Column("ordered_by", _IDENTIFIER, nullable=False),
    Column("ordered_at", UtcDateTime, nullable=False),
    Column("filter", JSON, nullable=False),
    Column("rate", Float),
    Column("ramp", Duration),
    Column("most", Integer),
    Column("frozen_at", UtcDateTime),
    Column("holder", _IDENTIFIER),
    Column("held_until", UtcDateTime),
    Column("finished_at", UtcDateTime),
    CheckConstraint(_one_of("action", JobAction), name="action"),
    # The number of a job is what people write down.
    sqlite_autoincrement=True,
)

dead_letter_job_items = Table(
    "dead_letter_job_items",
    metadata,
    Column(
        "job_id",
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("dead_letter_jobs.id"),
        nullable=False,
    ),
    Column("place", Integer, nullable=False),
    Column("queue", _QUEUE, nullable=False),
    Column("letter_id", Text, nullable=False),
    Column("tenant_id", _TENANT),  # of bytes that nobody could read it may be unknown
    Column("message_id", _IDENTIFIER),
    Column("state", String(16), nullable=False),
    Column("ended_at", UtcDateTime),
    Column("given_up_by", _FUNCTION),
    PrimaryKeyConstraint("job_id", "place"),
    Index(None, "job_id", "state", "place"),
    CheckConstraint(_one_of("state", ItemState), name="state"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("tenant_id", _TENANT, nullable=False),
    Column("source", _IDENTIFIER, nullable=False),
    Column("version", Integer, nullable=False),
    Column(
        "cursor", Text, nullable=False
    ),  # JSON as text, as seen and run are: numbers keep all their digits
    Column("watermark", UtcDateTime),
    Column("seen", Text, nullable=False),
    Column("run", Text),
    Column("runner", _IDENTIFIER),
    Column("leased_until", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "source"),
)

# Has no column called tenant_id: that is how a table says that its rows are a tenant's and go with it.
erasures = Table(
    "erasures",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", _TENANT, nullable=False),
    Column("entity_proof", String(64)),  # domain.erasure.Subject.proof
    Column("requested_by", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("removed", JSON, nullable=False),
)
