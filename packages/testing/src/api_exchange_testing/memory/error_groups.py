"""Groups of errors of an `InMemoryStore`, across tenants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from typing_extensions import override

from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.error_groups import ErrorGroup, ErrorGroups, GroupState
from api_exchange_testing.memory.unit_of_work import InMemoryStore

_WORST_FIRST = (GroupState.REGRESSED, GroupState.OPEN, GroupState.RESOLVED)


class InMemoryErrorGroups(ErrorGroups):
    """Adds up the committed groups.

    Args:
        store: whose.
    """

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store

    @override
    def newest(
        self, *, tenant_id: TenantId | None = None, resolved: bool = False, limit: int
    ) -> Sequence[ErrorGroup]:
        groups = [
            group for group in self._groups(tenant_id) if resolved or group.state is not GroupState.RESOLVED
        ]
        return sorted(groups, key=lambda group: group.last_seen, reverse=True)[:limit]

    @override
    def named(
        self, fingerprint: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[ErrorGroup]:
        groups = [group for group in self._groups(tenant_id) if group.fingerprint.startswith(fingerprint)]
        return groups[:limit]

    @override
    def resolve(self, fingerprint: str, *, by: str, now: datetime, tenant_id: TenantId | None = None) -> int:
        resolved = 0
        with self._store.changed:
            for rows in self._store.by_tenant(tenant_id).values():
                group = rows.groups.get(fingerprint)
                if group is not None and group.state is not GroupState.RESOLVED:
                    rows.groups[fingerprint] = replace(
                        group, state=GroupState.RESOLVED, resolved_at=now, resolved_by=by
                    )
                    resolved += 1
        return resolved

    def _groups(self, tenant_id: TenantId | None) -> list[ErrorGroup]:
        by_fingerprint = defaultdict(list)
        with self._store.changed:
            for rows in self._store.by_tenant(tenant_id).values():
                for fingerprint, group in rows.groups.items():
                    by_fingerprint[fingerprint].append(group)
        return [_added_up(own) for _, own in sorted(by_fingerprint.items())]


def _added_up(groups: Sequence[ErrorGroup]) -> ErrorGroup:
    states = {group.state for group in groups}
    resolutions = [
        (group.resolved_at, group.resolved_by) for group in groups if group.resolved_at is not None
    ]
    resolved_at, resolved_by = max(resolutions, default=(None, None))
    return replace(
        max(groups, key=lambda group: group.last_seen),
        count=sum(group.count for group in groups),
        first_seen=min(group.first_seen for group in groups),
        state=next(state for state in _WORST_FIRST if state in states),
        tenants=tuple(tenant for group in groups for tenant in group.tenants),
        resolved_at=resolved_at,
        resolved_by=resolved_by,
    )
