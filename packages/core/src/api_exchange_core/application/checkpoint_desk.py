"""The checkpoints as one call reaches them while its processor runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from typing_extensions import override

from api_exchange_core.domain.checkpoint import Assignment, Checkpoint
from api_exchange_core.domain.checkpoint_desk import CheckpointDesk
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.source_name import Window
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

_TRIES = 5


@dataclass(frozen=True, slots=True)
class MessageDesk(CheckpointDesk):
    """Reads and claims for one message, each in a short transaction of its own: none is open while an API is asked."""

    units: UnitOfWorkFactory
    clock: Clock
    function: Function
    message: Message

    @property
    @override
    def assignment(self) -> Assignment:
        return Assignment.of(self.message.metadata)

    @override
    def now(self) -> datetime:
        return self.clock.now()

    @override
    def read(self, key: str) -> Checkpoint:
        with self.units.begin(self.message.tenant_id) as unit:
            found = unit.checkpoints.get(key)
        return Checkpoint(source=key) if found is None else found

    @override
    def claim(
        self, key: str, *, lease: timedelta, window: Callable[[Checkpoint], Window]
    ) -> Checkpoint | None:
        for _ in range(_TRIES - 1):
            try:
                return self._claim(key, lease, window)
            except LostRaceError:
                continue
        return self._claim(key, lease, window)

    def _claim(self, key: str, lease: timedelta, window: Callable[[Checkpoint], Window]) -> Checkpoint | None:
        now = self.clock.now()
        with self.units.begin(self.message.tenant_id) as unit:
            found = unit.checkpoints.get(key)
            stored = Checkpoint(source=key) if found is None else found
            if not stored.may_claim(self.message.id, self.assignment, now=now):
                return None
            # Looked up after the checkpoint was read: what is completed only now has written another version of it.
            if unit.journal.completed(self.function.name, [self.message.id]):
                return None  # we are late, and another call of the same message was first
            claimed = stored.claimed(
                self.message.id,
                queue=self.function.input_queue,
                window=window(stored),
                now=now,
                lease=lease,
            )
            unit.checkpoints.write([claimed])
            unit.commit()
        return claimed
