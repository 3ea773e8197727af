"""What every suite has in common: nobody can leave out a test, and how time passes."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from typing_extensions import override

from api_exchange_core.ports.clock import Clock
from api_exchange_testing.memory.clock import VirtualClock


class PassingTime(Clock, Protocol):
    """A clock that a test can advance: `VirtualClock`, or one that waits, if a service keeps the time."""

    @abstractmethod
    def advance(self, by: timedelta) -> None:
        """Let *by* pass."""


class Suite:
    """The tests of one port. An adapter's test derives from it and gives its fixture.

    Raises:
        TypeError: a subclass replaces a test. What an adapter does differently is a trait, not another test.
    """

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in (name for name in dir(cls) if name.startswith("test")):
            definitions = [definer.__qualname__ for definer in cls.__mro__ if name in vars(definer)]
            if len(definitions) > 1:
                raise TypeError(
                    f"{name} is defined by {' and '.join(definitions)}, and only the first would run: "
                    "a suite is passed as it is"
                )

    @pytest.fixture
    def clock(self) -> PassingTime:
        """The clock to hand to the adapter; to be overridden if a service keeps the time."""
        return VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
