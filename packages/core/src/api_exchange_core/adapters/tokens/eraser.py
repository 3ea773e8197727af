"""Erasing a tenant where its tokens are not in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from typing_extensions import override

from api_exchange_core.domain.entity import EntityKey
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.token_store import TokensApart


@dataclass(frozen=True, slots=True)
class ErasesTokensToo(Eraser):
    """Erases from a store, and a tenant's tokens from a table. The record is the store's.

    Tokens are counted when they are gone. Of a process that dies in between, the record lacks one batch of them.

    Args:
        rest: erases everything else.
        tokens: what it does not hold.
        part: what erasures call them: their table.
    """

    rest: Eraser
    tokens: TokensApart
    part: str

    @override
    def named(self, tenant_id: TenantId, *, external_id: str) -> Sequence[EntityKey]:
        return self.rest.named(tenant_id, external_id=external_id)

    @override
    def held(self, subject: Subject) -> Mapping[str, int]:
        held = dict(self.rest.held(subject))
        number = len(self.tokens.all(subject.tenant_id)) if self._parts(subject) else 0
        return held | ({self.part: number} if number else {})

    @override
    def parts(self, subject: Subject) -> Sequence[str]:
        return [*self.rest.parts(subject), *self._parts(subject)]

    @override
    def begin(self, erasure: Erasure) -> None:
        self.rest.begin(erasure)

    @override
    def remove(self, subject: Subject, part: str, *, erasure_id: str, limit: int) -> int:
        if part in self._parts(subject):
            removed = self.tokens.erase(subject.tenant_id, limit=limit)
            if removed:
                self.rest.count(erasure_id, part, removed)
            return removed
        return self.rest.remove(subject, part, erasure_id=erasure_id, limit=limit)

    @override
    def count(self, erasure_id: str, part: str, number: int) -> None:
        self.rest.count(erasure_id, part, number)

    @override
    def finish(self, erasure_id: str, *, files: int, now: datetime) -> None:
        self.rest.finish(erasure_id, files=files, now=now)

    @override
    def records(self) -> Sequence[Erasure]:
        return self.rest.records()

    def _parts(self, subject: Subject) -> Sequence[str]:
        return [self.part] if subject.entity_id is None else []
