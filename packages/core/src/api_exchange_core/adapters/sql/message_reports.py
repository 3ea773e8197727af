"""What the tables tell of messages.

To find whose an id is takes the table of tenants, which no tenant reads; what is known to be of one is read as that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, literal, literal_column, select, tuple_, union_all
from typing_extensions import override

from api_exchange_core.adapters.sql import across_tenants, error_log
from api_exchange_core.adapters.sql import journal as journal_rows
from api_exchange_core.adapters.sql.id_search import ID, requests_of_message, tenants_with
from api_exchange_core.adapters.sql.report_scope import reading
from api_exchange_core.adapters.sql.schema import FAILED, entity_versions, errors, journal
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.message_reports import (
    FailedAttempt,
    HandledMessage,
    MessageFilter,
    MessageReports,
    PlaceInList,
    Request,
)

_FAILED_STATES = (ProcessingState.DEAD, ProcessingState.RETRYING)
# Said as the index says it, since no planner concludes it from a parameter.
_HAS_FAILED: ColumnElement[bool] = literal_column(FAILED.text).self_group()
_PLACE = (journal.c.finished_at, journal.c.tenant_id, journal.c.function, journal.c.message_id)


@dataclass(frozen=True, slots=True)
class SqlMessageReports(MessageReports):
    """Reads the journal and the errors.

    Args:
        engine: of the database.
    """

    engine: Engine

    @override
    def requests_named(
        self, id_: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[Request]:
        with across_tenants.reading(self.engine) as connection:
            asked = tenants_with(journal.c.correlation_id, tenant_id, tenant=journal.c.tenant_id)
            found = connection.execute(asked, {ID: id_}).all()
            if not any(row.found for row in found):
                found = connection.execute(requests_of_message(tenant_id), {ID: id_}).all()
        return sorted({Request(row.tenant_id, row.found) for row in found if row.found is not None})[:limit]

    @override
    def requests_about(
        self, entity_id: str, *, tenant_id: TenantId | None = None, limit: int = 10
    ) -> Sequence[Request]:
        with across_tenants.reading(self.engine) as connection:
            owners = set()
            for column, tenant, where in (
                (journal.c.entity_id, journal.c.tenant_id, (_HAS_FAILED,)),
                (entity_versions.c.entity_id, entity_versions.c.tenant_id, ()),
            ):
                asked = tenants_with(column, tenant_id, tenant=tenant, where=where)
                owners |= {
                    row.tenant_id
                    for row in connection.execute(asked, {ID: entity_id})
                    if row.found is not None
                }
            if not owners:
                return ()
            about = union_all(
                select(
                    journal.c.tenant_id, journal.c.correlation_id, journal.c.finished_at.label("at")
                ).where(journal.c.tenant_id.in_(owners), journal.c.entity_id == entity_id, _HAS_FAILED),
                select(
                    entity_versions.c.tenant_id,
                    entity_versions.c.correlation_id,
                    entity_versions.c.created_at.label("at"),
                ).where(entity_versions.c.tenant_id.in_(owners), entity_versions.c.entity_id == entity_id),
            ).subquery()
            request = (about.c.tenant_id, about.c.correlation_id)
            newest = (
                select(*request)
                .where(about.c.correlation_id.is_not(None))
                .group_by(*request)
                .order_by(func.max(about.c.at).desc(), *request)
                .limit(limit)
            )
            return [Request(row.tenant_id, row.correlation_id) for row in connection.execute(newest)]

    @override
    def of_request(self, request: Request, *, limit: int) -> Sequence[HandledMessage]:
        wanted = (
            select(journal)
            .where(
                journal.c.tenant_id == request.tenant_id, journal.c.correlation_id == request.correlation_id
            )
            .order_by(journal.c.started_at, journal.c.finished_at, journal.c.function, journal.c.message_id)
            .limit(limit)
        )
        with reading(self.engine, request.tenant_id) as connection:
            return [_handled(row) for row in connection.execute(wanted).mappings()]

    @override
    def failed_attempts(
        self, message_ids: Collection[MessageId], *, tenant_id: TenantId, limit: int
    ) -> Sequence[FailedAttempt]:
        wanted = (
            select(errors)
            .where(errors.c.tenant_id == tenant_id, errors.c.message_id.in_(sorted(message_ids)))
            .order_by(errors.c.occurred_at, errors.c.id)
            .limit(limit)
        )
        with reading(self.engine, tenant_id) as connection:
            return [
                FailedAttempt(tenant_id=row.tenant_id, **error_log.fields_of(row))
                for row in connection.execute(wanted)
            ]

    @override
    def newest(
        self, wanted: MessageFilter, *, limit: int, after: PlaceInList | None = None
    ) -> Sequence[HandledMessage]:
        asked = (
            select(journal)
            .where(*_passing(wanted), *_behind(after))
            .order_by(*(column.desc() for column in _PLACE))
            .limit(limit)
        )
        with reading(self.engine, wanted.tenant_id) as connection:
            return [_handled(row) for row in connection.execute(asked).mappings()]


def _passing(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.tenant_id is not None:
        conditions.append(journal.c.tenant_id == wanted.tenant_id)
    if wanted.function is not None:
        conditions.append(journal.c.function == wanted.function)
    if wanted.state is not None:
        conditions.append(journal.c.state == wanted.state.value)
    if wanted.state in _FAILED_STATES:
        conditions.append(_HAS_FAILED)
    if wanted.since is not None:
        conditions.append(journal.c.finished_at >= wanted.since)
    return conditions


def _behind(place: PlaceInList | None) -> list[ColumnElement[bool]]:
    if place is None:
        return []
    values = (place.finished_at, place.tenant_id, place.function, place.message_id)
    bound = (literal(value, column.type) for value, column in zip(values, _PLACE, strict=True))
    # The first condition follows from the second and is what the index of the times is looked into with.
    return [journal.c.finished_at <= place.finished_at, tuple_(*_PLACE) < tuple_(*bound)]


def _handled(row: Any) -> HandledMessage:
    return HandledMessage(tenant_id=row["tenant_id"], **journal_rows.fields_of(row))
