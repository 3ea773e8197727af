"""Values that the suites write and read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_core.ports.outbox import OutgoingLine

TENANT = TenantId("customer-a")
OTHER_TENANT = TenantId("customer-b")
FUNCTION = FunctionName("to-canonical")
QUEUE = QueueName("orders-in")
NOW = datetime(2026, 3, 1, 9, 15, 27, 123456, tzinfo=UTC)
EVERY_SCRIPT = "Grüße, Ελλάδα, 日本語, עברית, 👩‍🚀, e\u0301"


def at(seconds: int) -> datetime:
    """*seconds* after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def key(
    external_id: str = "4711",
    *,
    tenant: TenantId = TENANT,
    canonical_type: str = "order",
    source: str = "shop",
) -> EntityKey:
    """The key of an order of a shop."""
    return EntityKey(tenant, canonical_type, source, external_id)


def hash_of(text: str) -> str:
    """Something of the form of a content hash, the same for the same text of up to 32 bytes."""
    return f"sha256:jcs1:{text.encode().hex():0>64}"


def head(
    key_: EntityKey,
    version: int = 1,
    *,
    content: str = "a",
    updated_at: datetime = NOW,
    source_version: int | None = None,
) -> EntityHead:
    """A head of the entity with *key_*."""
    return EntityHead(key_, key_.id, version, hash_of(content), source_version, updated_at)


def version_of(head_: EntityHead, *, field_hashes: dict[str, str] | None = None) -> EntityVersion:
    """The row of history that goes with *head_*."""
    return EntityVersion(
        entity_id=head_.id,
        version=head_.version,
        content_hash=head_.content_hash,
        field_hashes={"total": "0123456789abcdef"} if field_hashes is None else field_hashes,
        message_id=MessageId(f"message-{head_.version}"),
        correlation_id="request-1",
        operation="orders.fetch",
        created_at=head_.updated_at,
    )


def on_top(head_: EntityHead) -> HeadWrite:
    """The write of *head_* on the version before it."""
    return HeadWrite(head_, head_.version - 1)


def entry(
    message_id: str = "message-1",
    state: ProcessingState = ProcessingState.COMPLETED,
    *,
    function: FunctionName = FUNCTION,
    attempts: int = 1,
    correlation_id: str = "request-1",
    started_at: datetime = NOW,
    fingerprint: str | None = None,
    entity_id: str | None = None,
) -> JournalEntry:
    """What became of a message."""
    return JournalEntry(
        function=function,
        message_id=MessageId(message_id),
        state=state,
        attempts=attempts,
        correlation_id=correlation_id,
        causation_id="message-0",
        entity_id=key().id if entity_id is None else entity_id,
        started_at=started_at,
        finished_at=started_at + timedelta(milliseconds=250),
        fingerprint=fingerprint,
    )


def error(message_id: str = "message-1", *, attempt: int = 1, reason: str = "no answer") -> ErrorEntry:
    """A failed attempt, a minute after the one before it."""
    return ErrorEntry(
        function=FUNCTION,
        message_id=MessageId(message_id),
        correlation_id="request-1",
        attempt=attempt,
        problem=Problem(code="RetryableError", reason=reason, fingerprint="0123456789abcdef"),
        stack="orders.py:12 process\nhttp.py:80 get",
        occurred_at=at(60 * attempt),
    )


def outgoing(
    message_id: str = "message-1",
    *,
    queue: QueueName = QUEUE,
    tenant: TenantId = TENANT,
    body: bytes | None = None,
    delay: timedelta = timedelta(0),
    ordering_key: str | None = None,
    properties: dict[str, str] | None = None,
) -> Outgoing:
    """A message on its way."""
    return Outgoing(
        queue=queue,
        tenant_id=tenant,
        message_id=MessageId(message_id),
        body=b'{"id":"%b"}' % message_id.encode() if body is None else body,
        delay=delay,
        ordering_key=ordering_key,
        properties={} if properties is None else properties,
    )


def line(text: str = "{}", *, tenant: TenantId = TENANT, name: str = "exports/orders.jsonl") -> OutgoingLine:
    """A line on its way."""
    return OutgoingLine(tenant_id=tenant, name=name, line=text.encode())
