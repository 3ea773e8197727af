"""How a call reaches the checkpoints of its tenant, and keeps one by hand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from api_exchange_core.domain.checkpoint import Assignment, Checkpoint
from api_exchange_core.domain.intentions import Intentions
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.source_name import Window


class CheckpointDesk(Protocol):
    """The checkpoints of a tenant, as one call of a processor reaches them."""

    @property
    @abstractmethod
    def assignment(self) -> Assignment:
        """What the call's message is to do for sources."""

    @abstractmethod
    def now(self) -> datetime:
        """The time, aware UTC."""

    @abstractmethod
    def read(self, key: str) -> Checkpoint:
        """Where a source stands; version 0 if it has never been anywhere."""

    @abstractmethod
    def claim(
        self, key: str, *, lease: timedelta, window: Callable[[Checkpoint], Window]
    ) -> Checkpoint | None:
        """Make the call's message the runner of a source, at once and in a transaction of its own.

        Returns:
            The checkpoint as it is now; None if the run is somebody else's.
        """


@dataclass(slots=True)
class CheckpointHandle:
    """A checkpoint that the processor keeps itself; made by `ProcessorContext.checkpoint`.

    What it holds was read when it was made. Nothing is written before the processor has returned, and then only if
    nobody else has written meanwhile; else the processor is called again, and reads what is there by then.
    """

    name: str
    _checkpoint: Checkpoint
    _intentions: Intentions
    _now: Callable[[], datetime]

    @property
    def cursor(self) -> JsonValue:
        """What was saved the last time; None at the beginning."""
        return self._checkpoint.cursor

    @property
    def watermark(self) -> datetime | None:
        """What was saved the last time; None at the beginning."""
        return self._checkpoint.watermark

    @property
    def version(self) -> int:
        """How often it was written; 0 at the beginning."""
        return self._checkpoint.version

    @property
    def updated_at(self) -> datetime | None:
        """When it was written."""
        return self._checkpoint.updated_at

    def save(self, cursor: object, *, watermark: datetime | None = None) -> None:
        """Keep *cursor*, in the transaction of what this call persists and sends. The last one of a call counts.

        Args:
            cursor: any JSON up to 16 KiB.
            watermark: up to when all is known, aware; left as it is if not given.

        Raises:
            UnrepresentableError: the cursor has no JSON form.
            PermanentError: it is too large.
            DeclarationError: the watermark is not aware, or this call extracts the source.
        """
        Window(watermark)
        self._intentions.keep(self._checkpoint.saved(cursor, now=self._now(), watermark=watermark))
