"""Errors in groups of one fingerprint, for people: across tenants, and after the fact."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from api_exchange_core.domain.names import FunctionName, MessageId, TenantId


class GroupState(StrEnum):
    """What people have made of a group of errors."""

    OPEN = "open"
    RESOLVED = "resolved"
    REGRESSED = "regressed"  # it was resolved, and has happened again


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Failed attempts with one fingerprint.

    Args:
        fingerprint: the same for failures of the same kind from the same place.
        function: where.
        operation: name of the processor's step.
        code: the error's class, or what the processor chose.
        reason: the newest attempt's, as a sample.
        stack: the newest attempt's.
        message_id: of the newest attempt.
        count: failed attempts.
        first_seen: when it began.
        last_seen: when it happened last.
        state: of all tenants that were asked for: regressed or open if it is for any of them.
        tenants: whom it happened to.
        resolved_at: when somebody last said that it is mended.
        resolved_by: who.
    """

    fingerprint: str
    function: FunctionName
    operation: str | None
    code: str
    reason: str = field(repr=False)
    stack: str = field(repr=False)
    message_id: MessageId
    count: int
    first_seen: datetime
    last_seen: datetime
    state: GroupState
    tenants: Sequence[TenantId]
    resolved_at: datetime | None = None
    resolved_by: str | None = None


class ErrorGroups(Protocol):
    """The groups of failed attempts, as `ErrorLog.add` makes them."""

    @abstractmethod
    def newest(
        self, *, tenant_id: TenantId | None = None, resolved: bool = False, limit: int
    ) -> Sequence[ErrorGroup]:
        """Groups, those first that were seen last.

        Args:
            tenant_id: whose; None for all tenants together.
            resolved: with those that are resolved.
            limit: at most so many.
        """

    @abstractmethod
    def named(
        self, fingerprint: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[ErrorGroup]:
        """The groups whose fingerprint begins with *fingerprint*, ordered by it."""

    @abstractmethod
    def resolve(self, fingerprint: str, *, by: str, now: datetime, tenant_id: TenantId | None = None) -> int:
        """Say that a failure is mended. If it happens again it is regressed.

        Args:
            fingerprint: of the group, whole.
            by: who says so.
            now: when.
            tenant_id: for whom; None for all tenants.

        Returns:
            For how many tenants that was news.
        """
