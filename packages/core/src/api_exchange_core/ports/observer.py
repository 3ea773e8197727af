"""Telling what happens."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from api_exchange_core.domain.failure import Problem


class Outcome(StrEnum):
    """How the handling of one message ended."""

    COMPLETED = "completed"
    DUPLICATE = "duplicate"
    RETRY = "retry"
    DEFERRED = "deferred"
    DEAD_LETTERED = "dead_lettered"
    GIVEN_BACK = "given_back"
    DROPPED = "dropped"  # of an erased tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """One message, handled; what a summary line holds. No payload, no secrets."""

    function: str
    queue: str
    outcome: Outcome
    attempt: int
    duration: timedelta
    tenant_id: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    operation: str | None = None
    entities: int = 0
    new_versions: int = 0
    outputs: int = 0
    problem: Problem | None = None


class Observer(Protocol):
    """Logs, counts and traces. It never fails the work it watches."""

    @abstractmethod
    def bound(self, **ids: str | int | None) -> AbstractContextManager[None]:
        """Within the block, whatever is logged carries *ids*."""

    @abstractmethod
    def handled(self, summary: Handled) -> None:
        """A message was handled."""

    @abstractmethod
    def event(self, name: str, **facts: str | float | None) -> None:
        """Something else worth a line happened."""
