"""How often APIs may be asked, by all instances together."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

from api_exchange_core.domain.budget import Budget
from api_exchange_core.domain.names import TenantId


class Budgets(Protocol):
    """What each tenant has used of its budget with each API, across all instances.

    Times are the callers' own. Where their clocks differ, the requests of any span of time stay within what the
    budget allows in a span that is longer by that difference.
    """

    @abstractmethod
    def take(
        self, tenant_id: TenantId, *, api: str, number: int, budget: Budget, now: datetime
    ) -> datetime | None:
        """Take the right to make *number* requests: all of them or none.

        Of many that ask at the same time no more get it than the budget allows. Nobody gets it while the API is
        closed. What is taken is used, and cannot be given back.

        Returns:
            None if it was taken; else when to ask again, which is not before they can be had.

        Raises:
            ValueError: it is not from 1 to `Budget.most_at_once` requests.
            TransientError: the store could not be reached; whether it was taken is unknown, and it is not to be used.
        """

    @abstractmethod
    def close(self, tenant_id: TenantId, *, api: str, until: datetime) -> None:
        """Let nobody take anything until *until*, since the API said so. A later time that is known already stands.

        Raises:
            TransientError: the store could not be reached.
        """
