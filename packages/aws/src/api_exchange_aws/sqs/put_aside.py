"""Letters put aside until all have been seen, since a queue of SQS hands them out in about any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO

from api_exchange_core.domain.dead_letter import LetterId, StoredLetter


@dataclass(frozen=True, slots=True)
class _Aside:
    letter: StoredLetter
    start: int
    size: int


@dataclass(slots=True)
class PutAside:
    """Letters whose bodies wait in a file. One that comes again changes nothing.

    Args:
        bodies: an empty file.
    """

    bodies: IO[bytes]
    _letters: dict[LetterId, _Aside] = field(default_factory=dict, init=False, repr=False)

    def add(self, letter: StoredLetter) -> None:
        """Put one aside; before any is taken out."""
        if letter.id not in self._letters:
            start = self.bodies.tell()
            size = self.bodies.write(letter.body)
            self._letters[letter.id] = _Aside(replace(letter, body=b""), start, size)

    def pages(self, size: int) -> Iterator[Sequence[StoredLetter]]:
        """All of them, oldest first, *size* at a time."""
        in_order = sorted(self._letters.values(), key=lambda one: one.letter.buried_at)
        for first in range(0, len(in_order), size):
            yield [self._whole(one) for one in in_order[first : first + size]]

    def _whole(self, one: _Aside) -> StoredLetter:
        self.bodies.seek(one.start)
        return replace(one.letter, body=self.bodies.read(one.size))
