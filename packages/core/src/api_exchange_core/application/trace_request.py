"""What happened to a message, an entity or a whole request: the way through the functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from api_exchange_core.domain.names import EntityId, MessageId, TenantId
from api_exchange_core.ports.entity_reports import EntityFilter, EntityReports
from api_exchange_core.ports.journal import ProcessingState
from api_exchange_core.ports.message_reports import (
    FailedAttempt,
    HandledMessage,
    MessageReports,
    Request,
)

_REQUESTS = 10
_VERSIONS = 100
_ATTEMPTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A message on its way, with the attempts at it that failed.

    Args:
        message: what became of it.
        depth: how many messages it came through; 0 for one that started the request.
        failed: its failed attempts, oldest first.
    """

    message: HandledMessage
    depth: int
    failed: Sequence[FailedAttempt] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The way of a request, or the part of it that was asked for.

    Args:
        request: which.
        steps: each message after the one that caused it, and its children before the next one's.
        complete: the request has no more messages than were read.
    """

    request: Request
    steps: Sequence[Step]
    complete: bool


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """Finds requests by whatever id is at hand."""

    messages: MessageReports
    entities: EntityReports

    def trace(self, id_: str, *, tenant_id: TenantId | None = None, most: int = 10_000) -> Sequence[Trace]:
        """The requests that *id_* leads to, the newest first; at most ten.

        Args:
            id_: a correlation id: all of the request; a message's id: the messages that led to it and those that came
                of it; an entity's id or external id: the messages about it in requests that changed it or failed on
                it, with what led to them.
            tenant_id: whose; None for all tenants.
            most: messages that are read of a request.
        """
        requests = self.messages.requests_named(id_, tenant_id=tenant_id, limit=_REQUESTS)
        if requests:
            return [self._named(request, id_, most) for request in requests]
        return self._about(self._entity_ids(id_, tenant_id), tenant_id, most)

    def _named(self, request: Request, id_: str, most: int) -> Trace:
        rows = self.messages.of_request(request, limit=most)
        if request.correlation_id == id_:
            return self._traced(request, rows, rows, most)
        return self._traced(request, rows, _lineage(rows, {MessageId(id_)}), most)

    def _about(
        self, entities: Mapping[EntityId, TenantId | None], tenant_id: TenantId | None, most: int
    ) -> Sequence[Trace]:
        requests: dict[Request, None] = {}
        makers: set[MessageId] = set()
        for entity_id, owner in entities.items():
            found = self.messages.requests_about(entity_id, tenant_id=tenant_id, limit=_REQUESTS)
            requests.update(dict.fromkeys(found))
            if owner is not None:
                versions = self.entities.history(entity_id, tenant_id=owner, limit=_VERSIONS)
                makers |= {one.message_id for one in versions if one.message_id is not None}
        traces = []
        for request in list(requests)[:_REQUESTS]:
            rows = self.messages.of_request(request, limit=most)
            about = {row.message_id for row in rows if row.entity_id in entities}
            wanted = _lineage(rows, about, leading_to=makers)
            traces.append(self._traced(request, rows, wanted, most))
        return traces

    def _entity_ids(self, id_: str, tenant_id: TenantId | None) -> dict[EntityId, TenantId | None]:
        head = self.entities.with_id(id_)
        if head is not None:
            return {head.id: head.key.tenant_id}
        heads = self.entities.with_external_id(EntityFilter(external_id=id_, tenant_id=tenant_id))
        # It may be the id of an entity that is known elsewhere and only travels through here.
        return {head.id: head.key.tenant_id for head in heads} or {EntityId(id_): None}

    def _traced(
        self, request: Request, rows: Sequence[HandledMessage], wanted: Sequence[HandledMessage], most: int
    ) -> Trace:
        troubled = {row.message_id for row in wanted if _had_trouble(row)}
        failed = defaultdict(list)
        if troubled:
            for attempt in self.messages.failed_attempts(
                troubled, tenant_id=request.tenant_id, limit=_ATTEMPTS
            ):
                failed[attempt.function, attempt.message_id].append(attempt)
        return Trace(
            request=request,
            steps=[
                Step(message=row, depth=depth, failed=failed[row.function, row.message_id])
                for row, depth in _in_order(wanted)
            ],
            complete=len(rows) < most,
        )


def _had_trouble(row: HandledMessage) -> bool:
    return row.state is not ProcessingState.COMPLETED or row.attempts > 1


def _lineage(
    rows: Sequence[HandledMessage],
    of: Collection[MessageId],
    *,
    leading_to: Collection[MessageId] = (),
) -> list[HandledMessage]:
    """Those of *rows* that led to the messages *of* and *leading_to* or that came of the first."""
    causes = {row.message_id: row.causation_id for row in rows}
    kept: set[str] = set()
    for message_id in (*of, *leading_to):
        current: str | None = message_id
        while current is not None and current not in kept:
            kept.add(current)
            current = causes.get(MessageId(current))
    effects = defaultdict(list)
    for row in rows:
        effects[row.causation_id].append(row.message_id)
    came, waiting = set(of), list(of)
    while waiting:
        new = [effect for effect in effects[waiting.pop()] if effect not in came]
        came.update(new)
        waiting += new
    return [row for row in rows if row.message_id in kept or row.message_id in came]


def _in_order(rows: Sequence[HandledMessage]) -> Iterator[tuple[HandledMessage, int]]:
    """Each row after its cause, with its depth."""
    known = {row.message_id for row in rows}
    effects = defaultdict(list)
    for row in reversed(rows):  # a stack is emptied from its end
        effects[row.causation_id if row.causation_id in known else None].append(row)
    waiting = [(row, 0) for row in effects.pop(None, [])]
    while waiting:
        row, depth = waiting.pop()
        yield row, depth
        waiting += [(effect, depth + 1) for effect in effects.pop(row.message_id, [])]
    # Messages that name each other as their cause come from elsewhere; they are shown all the same.
    yield from ((row, 0) for own in effects.values() for row in reversed(own))
