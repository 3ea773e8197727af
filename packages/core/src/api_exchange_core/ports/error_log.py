"""Errors, as part of a unit of work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import FunctionName, MessageId


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEntry:
    """One failed attempt. The stack names files and lines, and holds no values."""

    function: FunctionName
    message_id: MessageId
    correlation_id: str
    attempt: int
    problem: Problem
    stack: str
    occurred_at: datetime


class ErrorLog(Protocol):
    """The failed attempts of one tenant."""

    @abstractmethod
    def add(self, entries: Sequence[ErrorEntry]) -> None:
        """Record *entries*."""

    @abstractmethod
    def of_message(self, message_id: MessageId) -> Sequence[ErrorEntry]:
        """The failed attempts at a message, oldest first."""
