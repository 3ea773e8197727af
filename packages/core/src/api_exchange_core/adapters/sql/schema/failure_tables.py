"""The tables of what went wrong: errors, their groups, and what operators do with dead letters."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from api_exchange_core.adapters.sql.schema.columns import (
    FUNCTION,
    IDENTIFIER,
    QUEUE,
    TENANT,
    metadata,
    one_of,
    serial,
)
from api_exchange_core.adapters.sql.time_types import Duration, UtcDateTime
from api_exchange_core.domain.dead_letter_job import ItemState, JobAction

errors = Table(
    "errors",
    metadata,
    serial(),
    Column("tenant_id", TENANT, nullable=False),
    Column("function", FUNCTION, nullable=False),
    Column("message_id", IDENTIFIER, nullable=False),
    Column("correlation_id", IDENTIFIER, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("permanent", Boolean, nullable=False),
    Column("retry_after", Duration),
    Column("defer", Duration),
    Column("stack", Text, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("operation", IDENTIFIER),
    Column("queue", QUEUE),
    Index(None, "tenant_id", "message_id", "id"),
    Index(None, "occurred_at"),
)

error_groups = Table(
    "error_groups",
    metadata,
    Column("tenant_id", TENANT, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("function", FUNCTION, nullable=False),
    Column("operation", IDENTIFIER),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),  # this and the next two are the newest attempt's
    Column("stack", Text, nullable=False),
    Column("message_id", IDENTIFIER, nullable=False),
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

dead_letter_jobs = Table(
    "dead_letter_jobs",
    metadata,
    serial(),
    Column("action", String(16), nullable=False),
    Column("ordered_by", IDENTIFIER, nullable=False),
    Column("ordered_at", UtcDateTime, nullable=False),
    Column("filter", JSON, nullable=False),
    Column("rate", Float),
    Column("ramp", Duration),
    Column("most", Integer),
    Column("frozen_at", UtcDateTime),
    Column("holder", IDENTIFIER),
    Column("held_until", UtcDateTime),
    Column("finished_at", UtcDateTime),
    CheckConstraint(one_of("action", JobAction), name="action"),
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
    Column("queue", QUEUE, nullable=False),
    Column("letter_id", Text, nullable=False),
    Column("tenant_id", TENANT),  # of bytes that nobody could read it may be unknown
    Column("message_id", IDENTIFIER),
    Column("state", String(16), nullable=False),
    Column("ended_at", UtcDateTime),
    Column("given_up_by", FUNCTION),
    PrimaryKeyConstraint("job_id", "place"),
    Index(None, "job_id", "state", "place"),
    CheckConstraint(one_of("state", ItemState), name="state"),
)
