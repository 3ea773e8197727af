"""Groups of errors in a table, of one tenant or across tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Row, func, select, update
from typing_extensions import override

from api_exchange_core.adapters.sql.report_scope import reading, writing
from api_exchange_core.adapters.sql.schema import error_groups
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.error_groups import ErrorGroup, ErrorGroups, GroupState

_UNRESOLVED: Final = (GroupState.OPEN.value, GroupState.REGRESSED.value)
_WORST_FIRST: Final = (GroupState.REGRESSED, GroupState.OPEN, GroupState.RESOLVED)
_ROWS_A_GROUP: Final = 100
"""Rows that are looked through for each group that is asked for: one failure of many tenants is many rows."""


@dataclass(frozen=True, slots=True)
class SqlErrorGroups(ErrorGroups):
    """The rows that `SqlErrorLog` counts in: one a tenant and fingerprint, added up here.

    Args:
        engine: of the database.
    """

    engine: Engine

    @override
    def newest(
        self, *, tenant_id: TenantId | None = None, resolved: bool = False, limit: int
    ) -> Sequence[ErrorGroup]:
        conditions = _of(tenant_id)
        if not resolved:
            conditions.append(error_groups.c.state.in_(_UNRESOLVED))
        lately = (
            select(error_groups.c.fingerprint, error_groups.c.last_seen)
            .where(*conditions)
            .order_by(error_groups.c.last_seen.desc())
            .limit(limit * _ROWS_A_GROUP)
            .subquery()
        )
        fingerprints = (
            select(lately.c.fingerprint)
            .group_by(lately.c.fingerprint)
            .order_by(func.max(lately.c.last_seen).desc(), lately.c.fingerprint)
            .limit(limit)
        )
        # Asked for by name, since no planner knows how few they are.
        with reading(self.engine, tenant_id) as connection:
            names = connection.execute(fingerprints).scalars().all()
        groups = self._groups(error_groups.c.fingerprint.in_(names), tenant_id)
        return sorted(groups, key=lambda group: group.last_seen, reverse=True)

    @override
    def named(
        self, fingerprint: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[ErrorGroup]:
        # A range of the index, which LIKE is in some collations only. Fingerprints are hexadecimal digits, and in all
        # collations "g" comes after them.
        begins = error_groups.c.fingerprint.between(fingerprint, f"{fingerprint}g")
        return self._groups(begins, tenant_id)[:limit]

    @override
    def resolve(self, fingerprint: str, *, by: str, now: datetime, tenant_id: TenantId | None = None) -> int:
        resolved = (
            update(error_groups)
            .where(
                error_groups.c.fingerprint == fingerprint,
                error_groups.c.state.in_(_UNRESOLVED),
                *_of(tenant_id),
            )
            .values(state=GroupState.RESOLVED.value, resolved_at=now, resolved_by=by)
        )
        with writing(self.engine, tenant_id) as connection:
            return connection.execute(resolved).rowcount

    def _groups(self, condition: ColumnElement[bool], tenant_id: TenantId | None) -> list[ErrorGroup]:
        wanted = (
            select(error_groups)
            .where(condition, *_of(tenant_id))
            .order_by(error_groups.c.fingerprint, error_groups.c.tenant_id)
        )
        with reading(self.engine, tenant_id) as connection:
            rows = connection.execute(wanted).all()
        return [_added_up(list(own)) for _, own in groupby(rows, key=lambda row: row.fingerprint)]


def _of(tenant_id: TenantId | None) -> list[ColumnElement[bool]]:
    return [] if tenant_id is None else [error_groups.c.tenant_id == tenant_id]


def _added_up(rows: Sequence[Row[Any]]) -> ErrorGroup:
    newest = max(rows, key=lambda row: row.last_seen)
    states = {GroupState(row.state) for row in rows}
    resolutions = [(row.resolved_at, row.resolved_by) for row in rows if row.resolved_at is not None]
    resolved_at, resolved_by = max(resolutions, default=(None, None))
    return ErrorGroup(
        fingerprint=newest.fingerprint,
        function=newest.function,
        operation=newest.operation,
        code=newest.code,
        reason=newest.reason,
        stack=newest.stack,
        message_id=newest.message_id,
        count=sum(row.attempts for row in rows),
        first_seen=min(row.first_seen for row in rows),
        last_seen=newest.last_seen,
        state=next(state for state in _WORST_FIRST if state in states),
        tenants=tuple(row.tenant_id for row in rows),
        resolved_at=resolved_at,
        resolved_by=resolved_by,
    )
