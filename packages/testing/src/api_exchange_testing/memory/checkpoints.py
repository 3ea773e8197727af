"""Checkpoints in memory, as part of a unit of work."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import TypeAdapter
from typing_extensions import override

from api_exchange_core.domain.checkpoint import Checkpoint
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.ports.checkpoints import Checkpoints

CheckpointRows = dict[str, bytes]
"""The committed checkpoints of one tenant, by source, as JSON: what has no such form fails here as elsewhere."""

_JSON: Final = TypeAdapter(Checkpoint)


class InMemoryCheckpoints(Checkpoints):
    """What is committed, with the writes of one unit of work over it.

    Args:
        rows: the tenant's committed rows.
        changed: guards *rows*.
    """

    def __init__(self, rows: CheckpointRows, changed: threading.Condition) -> None:
        self._rows = rows
        self._changed = changed
        self._written: list[Checkpoint] = []

    @override
    def get(self, source: str) -> Checkpoint | None:
        with self._changed:
            return self._current([source]).get(source)

    @override
    def all(self) -> Sequence[Checkpoint]:
        with self._changed:
            return [checkpoint for _, checkpoint in sorted(self._current(self._rows).items())]

    @override
    def write(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._written += checkpoints
        self.check()

    def check(self) -> None:
        """Return if what is to be written can be committed.

        Raises:
            LostRaceError: another unit of work was first.
        """
        with self._changed:
            self._current()

    def apply(self) -> None:
        """Commit what `check` has let through, under the same hold of the lock."""
        for checkpoint in self._written:
            self._rows[checkpoint.source] = _JSON.dump_json(checkpoint)

    def _current(self, sources: Iterable[str] = ()) -> dict[str, Checkpoint]:
        """The checkpoints of *sources*, and of what this unit of work has written."""
        wanted = {*sources, *(checkpoint.source for checkpoint in self._written)}
        current = {
            source: _JSON.validate_json(self._rows[source]) for source in wanted if source in self._rows
        }
        for checkpoint in self._written:
            stored = current.get(checkpoint.source)
            if (0 if stored is None else stored.version) != checkpoint.version - 1:
                raise LostRaceError(
                    f"the checkpoint of source {checkpoint.source!r} was to be written as version "
                    f"{checkpoint.version}, and another writer was first"
                )
            current[checkpoint.source] = checkpoint
        return current
