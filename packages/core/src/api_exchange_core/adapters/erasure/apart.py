"""Erasing a tenant where not all there is of it is in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.entity import EntityKey
from api_exchange_core.domain.erasure import Erasure, Subject
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.erasure import Eraser, HeldApart

LARGE_CONTENTS: Final = "large contents"
"""What erasures call the contents that a claim check keeps. It has a space, so that no table is called the same."""


@dataclass(frozen=True, slots=True)
class ErasesApartToo(Eraser):
    """Erases from a store, and what is held of a tenant in other places. The record is the store's.

    What lies apart is counted when it is gone. Of a process that dies in between, the record lacks one batch of it.

    Args:
        rest: erases everything else.
        apart: the other places, by what erasures call them.
    """

    rest: Eraser
    apart: Mapping[str, HeldApart]

    @override
    def named(self, tenant_id: TenantId, *, external_id: str) -> Sequence[EntityKey]:
        return self.rest.named(tenant_id, external_id=external_id)

    @override
    def held(self, subject: Subject) -> Mapping[str, int]:
        held = {part: place.held(subject.tenant_id) for part, place in self._places(subject).items()}
        return {**self.rest.held(subject), **{part: number for part, number in held.items() if number}}

    @override
    def parts(self, subject: Subject) -> Sequence[str]:
        return [*self.rest.parts(subject), *self._places(subject)]

    @override
    def begin(self, erasure: Erasure) -> None:
        self.rest.begin(erasure)

    @override
    def remove(self, subject: Subject, part: str, *, erasure_id: str, limit: int) -> int:
        place = self._places(subject).get(part)
        if place is None:
            return self.rest.remove(subject, part, erasure_id=erasure_id, limit=limit)
        removed = place.erase(subject.tenant_id, limit=limit)
        if removed:
            self.rest.count(erasure_id, part, removed)
        return removed

    @override
    def count(self, erasure_id: str, part: str, number: int) -> None:
        self.rest.count(erasure_id, part, number)

    @override
    def finish(self, erasure_id: str, *, files: int, now: datetime) -> None:
        self.rest.finish(erasure_id, files=files, now=now)

    @override
    def records(self) -> Sequence[Erasure]:
        return self.rest.records()

    def _places(self, subject: Subject) -> Mapping[str, HeldApart]:
        """The other places that may hold something of *subject*: nothing there is known to be of an entity."""
        return self.apart if subject.entity_id is None else {}
