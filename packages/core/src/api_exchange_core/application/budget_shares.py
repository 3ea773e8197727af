"""What one instance has of the budgets that all instances share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from api_exchange_core.domain.budget import Budget
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.budgets import Budgets
from api_exchange_core.ports.clock import Clock

SHARE_LIFE: Final = timedelta(seconds=1)
"""How long what was taken in advance may be used. By so much the bound is looser than the store's own: the requests of
any span of time stay within what the budget allows in a span that is longer by this."""

_MOST_KNOWN: Final = 10_000
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

_Key = tuple[TenantId, str]


@dataclass(slots=True)
class _Share:
    """What is left of one tenant's requests to one API.

    Args:
        left: how many may be made without asking the store.
        good_until: after which they may not.
        size: how many to take next time.
        ask_from: neither is the store asked before, nor the API.
    """

    left: int = 0
    good_until: datetime = _LONG_AGO
    size: int = 1
    ask_from: datetime = _LONG_AGO

    def is_idle(self, now: datetime) -> bool:
        return self.good_until <= now and self.ask_from <= now


@dataclass(frozen=True, slots=True)
class BudgetShares:
    """Asks the store for several requests at a time, so that not each of them costs a write.

    An instance takes twice as many each time that it has used up what it took while it was good, and one again
    otherwise: one that makes few requests keeps nothing from the others. Threads may share it.
    """

    budgets: Budgets
    clock: Clock
    _shares: dict[_Key, _Share] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def take(self, tenant_id: TenantId, *, api: str, budget: Budget | None) -> datetime | None:
        """Take the right to make one request now.

        Args:
            tenant_id: on whose behalf.
            api: to which.
            budget: shared by all instances; None if only `close` is to be minded, of this instance.

        Returns:
            None if it was taken; else when to ask again.

        Raises:
            TransientError: the store could not be reached.
        """
        now = self.clock.now()
        with self._lock:
            share = self._of((tenant_id, api), now)
            if share.ask_from > now:
                return share.ask_from
            if budget is None:
                return None
            if self._is_left(share, now):
                share.left -= 1
                return None
            is_used_up = share.left == 0 and now < share.good_until
            number = share.size = min(share.size * 2, budget.share) if is_used_up else 1
        return self._take_share(tenant_id, api, number, budget)

    def close(self, tenant_id: TenantId, *, api: str, until: datetime, budget: Budget | None) -> None:
        """Let nobody ask the API until *until*.

        Nobody of this instance does from now on, and of the others nobody once they have used what they took in
        advance, within `SHARE_LIFE`.

        Raises:
            TransientError: the store could not be reached; this instance knows.
        """
        with self._lock:
            share = self._of((tenant_id, api), self.clock.now())
            share.ask_from = max(share.ask_from, until)
            share.left = 0
        if budget is not None:
            self.budgets.close(tenant_id, api=api, until=until)

    def _take_share(self, tenant_id: TenantId, api: str, number: int, budget: Budget) -> datetime | None:
        again_at = self._take_together(tenant_id, api, number, budget)
        if again_at is not None and number > 1:
            missing = (again_at - self.clock.now()) // budget.cost(1) + 1
            again_at = self._take_together(tenant_id, api, max(1, number - missing), budget)
        if again_at is not None:
            with self._lock:
                share = self._of((tenant_id, api), self.clock.now())
                share.size, share.ask_from = 1, max(share.ask_from, again_at)
        return again_at

    def _take_together(self, tenant_id: TenantId, api: str, number: int, budget: Budget) -> datetime | None:
        """Take *number*, one of which is used at once. Without the lock: others go on while the store is asked."""
        now = self.clock.now()
        again_at = self.budgets.take(tenant_id, api=api, number=number, budget=budget, now=now)
        if again_at is None:
            with self._lock:
                self._add(self._of((tenant_id, api), now), number - 1, now)
        return again_at

    def _add(self, share: _Share, number: int, now: datetime) -> None:
        good_until = now + SHARE_LIFE
        if self._is_left(share, now):  # of another thread: all of it is good for as long as the older part
            share.left, share.good_until = share.left + number, min(share.good_until, good_until)
        else:
            share.left, share.good_until = number, good_until

    @staticmethod
    def _is_left(share: _Share, now: datetime) -> bool:
        # A clock that was set back would make it good for longer.
        return share.left > 0 and share.good_until - SHARE_LIFE <= now < share.good_until

    def _of(self, key: _Key, now: datetime) -> _Share:
        share = self._shares.get(key)
        if share is None:
            if len(self._shares) >= _MOST_KNOWN:
                for idle in [key for key, share in self._shares.items() if share.is_idle(now)]:
                    del self._shares[idle]
            share = self._shares[key] = _Share()
        return share
