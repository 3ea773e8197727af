"""Entities: things of the outside world that are tracked by identity, versions and content hash."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from api_exchange_core.domain.errors import InvalidMessageError, UnrepresentableError
from api_exchange_core.domain.identity import entity_id
from api_exchange_core.domain.names import MAX_COUNT, MAX_IDENTIFIER, EntityId, MessageId, TenantId


class PersistOutcome(StrEnum):
    """What persisting an entity came to."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"  # the source has sent something newer before
    CONFLICT = "conflict"  # the head is not at the expected version

    @property
    def wrote_version(self) -> bool:
        """Whether a new version exists because of it."""
        return self in (PersistOutcome.CREATED, PersistOutcome.UPDATED)


@dataclass(frozen=True, slots=True)
class EntityKey:
    """What makes an entity the same one: tenant, type, source, and the id that the source gave it.

    Raises:
        UnrepresentableError: a part is empty or longer than `MAX_IDENTIFIER` characters, or cannot be stored.
    """

    tenant_id: TenantId
    canonical_type: str
    source: str
    external_id: str

    def __post_init__(self) -> None:
        for name in ("canonical_type", "source", "external_id"):
            _check_identifier(getattr(self, name), name)

    @property
    def id(self) -> EntityId:
        """The entity's id, which follows from the key."""
        return entity_id(
            tenant_id=self.tenant_id,
            canonical_type=self.canonical_type,
            source=self.source,
            external_id=self.external_id,
        )


@dataclass(frozen=True, slots=True)
class EntityReference:
    """What a message carries of an entity: enough to find it, nothing of its content.

    Raises:
        InvalidMessageError: *version* is no whole number from 1 to `MAX_COUNT`.
        UnrepresentableError: one of the texts is empty or longer than `MAX_IDENTIFIER`, or cannot be stored.
    """

    id: str
    external_id: str
    canonical_type: str
    source: str
    version: int
    tenant_id: str

    def __post_init__(self) -> None:
        if type(self.version) is not int or not 1 <= self.version <= MAX_COUNT:
            raise InvalidMessageError(
                f"an entity's version is a whole number from 1 to {MAX_COUNT:,}, not {self.version!r}"
            )
        for name in ("id", "external_id", "canonical_type", "source"):
            _check_identifier(getattr(self, name), name)


@dataclass(frozen=True, slots=True)
class EntityHead:
    """The current state of an entity."""

    key: EntityKey
    id: EntityId
    version: int
    content_hash: str
    source_version: int | None
    updated_at: datetime

    @property
    def reference(self) -> EntityReference:
        """The reference that a message would carry of this head."""
        return reference_to(self.key, self.id, self.version)


@dataclass(frozen=True, slots=True)
class EntityVersion:
    """One row of an entity's history: that it changed, when, why, and in which top-level fields; no content."""

    entity_id: EntityId
    version: int
    content_hash: str
    field_hashes: dict[str, str]
    message_id: MessageId | None
    correlation_id: str | None
    operation: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EntityChange:
    """The intention to record an entity's content as it is now.

    Args:
        key: which entity.
        id: its id, derived from *key* once.
        content: the canonical JSON bytes, forwarded in messages and never stored with the entity.
        content_hash: hash of the content, without the volatile fields.
        expected_version: write only if the head is at this version; 0 means "only if it is new".
        source_version: the source's own counter; an older or equal one than the head's is stale.
        forward_unchanged: hand the entity to the outputs even if nothing changed.
        operation: name of the step that wants it.
    """

    key: EntityKey
    id: EntityId
    content: bytes = field(repr=False)
    content_hash: str
    expected_version: int | None = None
    source_version: int | None = None
    forward_unchanged: bool = False
    operation: str | None = None

    def outcome_on(self, head: EntityHead | None) -> PersistOutcome:
        """What this change comes to on top of *head* (None: the entity is new)."""
        current = 0 if head is None else head.version
        if self.expected_version is not None and self.expected_version != current:
            return PersistOutcome.CONFLICT
        if head is None:
            return PersistOutcome.CREATED
        if head.content_hash == self.content_hash:
            return PersistOutcome.UNCHANGED
        if self._is_older_than(head):
            return PersistOutcome.STALE
        return PersistOutcome.UPDATED

    def applied_to(self, head: EntityHead | None, *, now: datetime) -> EntityHead:
        """The head after this change; to be called when the outcome writes a version."""
        return EntityHead(
            key=self.key,
            id=self.id,
            version=1 if head is None else head.version + 1,
            content_hash=self.content_hash,
            source_version=self._newest_source_version(head),
            updated_at=now,
        )

    def is_newer_than(self, head: EntityHead) -> bool:
        """Whether the source has counted on since *head*."""
        return self.source_version is not None and (
            head.source_version is None or self.source_version > head.source_version
        )

    def _is_older_than(self, head: EntityHead) -> bool:
        return (
            self.source_version is not None
            and head.source_version is not None
            and self.source_version <= head.source_version
        )

    def _newest_source_version(self, head: EntityHead | None) -> int | None:
        if self.source_version is None and head is not None:
            return head.source_version
        return self.source_version


@dataclass(frozen=True, slots=True)
class Persisted:
    """A change and what it came to."""

    change: EntityChange
    outcome: PersistOutcome
    version: int
    """The head's version afterwards; 0 if there is no head (a conflict on an entity that does not exist)."""

    @property
    def is_forwarded(self) -> bool:
        """Whether the entity goes to the outputs."""
        wanted = self.change.forward_unchanged and self.outcome is PersistOutcome.UNCHANGED
        return self.outcome.wrote_version or wanted

    @property
    def reference(self) -> EntityReference:
        """The entity as a message carries it."""
        return reference_to(self.change.key, self.change.id, self.version)


def reference_to(key: EntityKey, id_: EntityId, version: int) -> EntityReference:
    """A reference to *version* of the entity with *key*, whose id is *id_*."""
    return EntityReference(
        id=id_,
        external_id=key.external_id,
        canonical_type=key.canonical_type,
        source=key.source,
        version=version,
        tenant_id=key.tenant_id,
    )


def _check_identifier(value: object, name: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_IDENTIFIER or "\x00" in value:
        raise UnrepresentableError(
            f"{name} must be a string of 1 to {MAX_IDENTIFIER} characters without NUL; this one is "
            f"{f'{len(value)} characters long' if isinstance(value, str) else type(value).__name__}"
        )
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnrepresentableError(f"{name} holds a lone surrogate, which no database stores") from None
