"""Errors in memory, as part of a unit of work."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.error_groups import ErrorGroup, GroupState
from api_exchange_core.ports.error_log import ErrorEntry, ErrorLog

ErrorRows = list[ErrorEntry]
"""The committed entries of one tenant."""

GroupRows = dict[str, ErrorGroup]
"""The groups of one tenant, by fingerprint."""


class InMemoryErrorLog(ErrorLog):
    """What is committed, with the entries of one unit of work after it.

    Args:
        rows: the tenant's committed rows.
        groups: what they are counted in.
        tenant_id: whose they are.
        changed: guards both.
    """

    def __init__(
        self, rows: ErrorRows, groups: GroupRows, tenant_id: TenantId, changed: threading.Condition
    ) -> None:
        self._rows = rows
        self._groups = groups
        self._tenant_id = tenant_id
        self._changed = changed
        self._staged: ErrorRows = []

    @override
    def add(self, entries: Sequence[ErrorEntry]) -> None:
        self._staged += entries

    @override
    def of_message(
        self, message_id: MessageId, *, function: FunctionName | None = None, newest: int | None = None
    ) -> Sequence[ErrorEntry]:
        with self._changed:
            entries = [*self._rows, *self._staged]
        found = sorted(
            (
                one
                for one in entries
                if one.message_id == message_id and (function is None or one.function == function)
            ),
            key=lambda one: one.occurred_at,
        )
        return found if newest is None else found[max(0, len(found) - newest) :]

    def apply(self) -> None:
        """Commit; to be called with the store's lock held."""
        self._rows += self._staged
        for entry in self._staged:
            if entry.problem.defer is None:
                fingerprint = entry.problem.fingerprint
                self._groups[fingerprint] = _with(self._groups.get(fingerprint), entry, self._tenant_id)


def _with(group: ErrorGroup | None, entry: ErrorEntry, tenant_id: TenantId) -> ErrorGroup:
    """*group* with one more attempt."""
    alone = ErrorGroup(
        fingerprint=entry.problem.fingerprint,
        function=entry.function,
        operation=entry.operation,
        code=entry.problem.code,
        reason=entry.problem.reason,
        stack=entry.stack,
        message_id=entry.message_id,
        count=1,
        first_seen=entry.occurred_at,
        last_seen=entry.occurred_at,
        state=GroupState.OPEN,
        tenants=(tenant_id,),
    )
    if group is None:
        return alone
    back = group.resolved_at is not None and entry.occurred_at > group.resolved_at
    regressed = group.state is GroupState.RESOLVED and back
    return replace(
        alone if entry.occurred_at >= group.last_seen else group,
        count=group.count + 1,
        first_seen=min(group.first_seen, entry.occurred_at),
        last_seen=max(group.last_seen, entry.occurred_at),
        state=GroupState.REGRESSED if regressed else group.state,
        resolved_at=group.resolved_at,
        resolved_by=group.resolved_by,
    )
