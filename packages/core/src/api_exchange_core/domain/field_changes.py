"""Which fields of an entity differ between two versions, told by the hashes of their contents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from api_exchange_core.domain.entity import EntityVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChanges:
    """Names of top-level fields, sorted.

    Args:
        added: those that only the second version has.
        removed: those that only the first version has.
        changed: those that both have, with other contents.
        unchanged: those that both have, with the same contents.
    """

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]
    unchanged: Sequence[str]

    @classmethod
    def between(cls, first: EntityVersion, second: EntityVersion) -> Self:
        """What *second* has made of *first*."""
        old, new = first.field_hashes, second.field_hashes
        both = sorted(old.keys() & new.keys())
        return cls(
            added=sorted(new.keys() - old.keys()),
            removed=sorted(old.keys() - new.keys()),
            changed=[name for name in both if old[name] != new[name]],
            unchanged=[name for name in both if old[name] == new[name]],
        )
