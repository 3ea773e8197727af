"""How a message ends that the worker cannot settle: Functions completes what returns, and redelivers what raises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, TypeVar

from api_exchange_core.domain.delivery import Delivery, Disposition


class Arrived(Protocol):
    """A message as its service handed it out."""

    @property
    @abstractmethod
    def delivery(self) -> Delivery:
        """What the use cases are handed."""

    @property
    @abstractmethod
    def keeps_order(self) -> bool:
        """Whether others wait for this message, so that a copy behind them would break their order."""


OneArrived = TypeVar("OneArrived", bound=Arrived, contravariant=True)


class Copies(Protocol[OneArrived]):
    """Sends what is to be handled again, and what is dead."""

    @abstractmethod
    def send(self, ending: Sequence[tuple[OneArrived, Disposition]]) -> None:
        """Send a copy of each message that is retried or deferred, and the letter of each that is dead.

        Raises:
            PermanentError, TransientError: some may not be sent; their originals must not be completed.
        """
