"""Tokens of an instance: from memory as long as they are fresh, and from the store that all instances share."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.application.held_tokens import HeldToken, HeldTokens
from api_exchange_core.application.make_token import MakeToken, used_up
from api_exchange_core.application.token_choice import (
    States,
    barred_for,
    current_token,
    free_slots,
    is_used_up,
    shared_slots,
)
from api_exchange_core.application.token_plan import TokenPlan
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.domain.errors import DeferError, ExchangeError, PermanentError, TransientError
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.sealer import Sealer
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.token_store import NOTHING, TokenStore

_FIRST_PAUSE: Final = timedelta(milliseconds=10)
_LONGEST_PAUSE: Final = timedelta(milliseconds=250)  # of whoever asks the store
_LONGEST_PAUSE_HERE: Final = timedelta(milliseconds=20)  # of whoever waits for that one
_LATE: Final = 0.02  # whoever has waited for seconds looks less often, and gets its token by so little later
_SHARE: Final = 8  # a pause is this part of what was waited already, so nobody waits much longer than it must
_AHEAD_AGAIN: Final = timedelta(seconds=5)
_STAY_AWAY: Final = timedelta(seconds=2)
_TO_THE_DEADLINE: Final = timedelta(seconds=1)


class ApiTokens:
    """Hands out tokens.

    A fresh token comes from memory and costs no call. Shortly before it gets old one caller of the deployment asks for
    the next one, and all others go on with it. Where there is none, one caller asks; of each other instance one looks
    whether it is there yet, and its threads wait for that one. Nobody waits for longer than patience and deadline
    allow.

    Args:
        store: of the tokens.
        sealer: encrypts what is stored.
        clock: tells the time of this instance.
        sleeper: lets time pass.
        randomness: makes names, and keeps instances from asking all at once.
        observer: hears of what happened; never of a token.
    """

    def __init__(
        self,
        store: TokenStore,
        sealer: Sealer,
        clock: Clock,
        sleeper: Sleeper,
        randomness: Randomness,
        observer: Observer,
    ) -> None:
        self._store = store
        self._clock = clock
        self._sleeper = sleeper
        self._randomness = randomness
        self._observer = observer
        self._make = MakeToken(store, sealer, clock, sleeper, randomness, observer)
        self._held = HeldTokens(clock)
        self._busy: set[TokenKey] = set()  # of these one thread looks, and others wait for it
        self._begun: set[TokenKey] = (
            set()
        )  # for these a task has sent a thread, which may not have come to it yet
        self._uses: Counter[tuple[TokenKey, int]] = Counter()
        self._lock = threading.Lock()  # never held over a call

    def at_hand(self, key: TokenKey) -> HeldToken | None:
        """A fresh token from memory, if there is one."""
        held = self._held.fresh(key)
        return None if held is None else self._counted(key, held)

    def get(self, key: TokenKey, plan: TokenPlan, deadline: Deadline = NO_DEADLINE) -> HeldToken:
        """A token that is valid.

        Args:
            key: what for.
            plan: how it is got.
            deadline: of the call that needs it.

        Raises:
            DeferError: there will be one, but not within the time that there is.
            PermanentError: there will be none until somebody does something.
            TransientError: store, keys or vendor could not be reached.
        """
        return self.at_hand(key) or self._counted(key, self._renewed(key, plan, deadline))

    async def get_async(self, key: TokenKey, plan: TokenPlan, deadline: Deadline = NO_DEADLINE) -> HeldToken:
        """As `get`, while what else runs on the event loop goes on."""
        import asyncio  # which a cold start of what is not async does without

        since = self._clock.now()
        while (held := self.at_hand(key)) is None:
            if key not in self._busy and key not in self._begun:
                self._begun.add(key)
                try:
                    return await asyncio.to_thread(self.get, key, plan, deadline)
                finally:
                    self._begun.discard(key)
            held = self._held.usable(key)
            if held is not None:
                return self._counted(key, held)
            await self._sleeper.sleep_async(self._pause(key, since, plan, deadline, _LONGEST_PAUSE_HERE))
        return held

    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        """Hand out no more a token that the vendor has refused; whether it was the current one.

        Raises:
            TransientError: the store could not be reached; this instance has forgotten the token.
        """
        self._held.refuse(key, token_id)
        try:
            return self._store.invalidate(key, token_id)
        except TransientError:
            self._held.allow(token_id)
            raise

    def flush_uses(self) -> int:
        """Add what was counted since the last time to the store; how many uses that was."""
        with self._lock:
            uses, self._uses = self._uses, Counter()
        if uses:
            self._store.count(uses)
        return uses.total()

    def _counted(self, key: TokenKey, held: HeldToken) -> HeldToken:
        with self._lock:
            self._uses[key, held.slot] += 1
        return held

    def _renewed(self, key: TokenKey, plan: TokenPlan, deadline: Deadline) -> HeldToken:
        held = self._held.usable(key)
        return self._awaited(key, plan, deadline) if held is None else self._ahead(key, plan, deadline, held)

    def _ahead(self, key: TokenKey, plan: TokenPlan, deadline: Deadline, held: HeldToken) -> HeldToken:
        """The next token, if nobody else here looks for it and it can be had now; else the one that is still valid."""
        if deadline.is_within(plan.lease, now=self._clock.now()) or not self._begin(key):
            return held
        try:
            renewed = self._look(key, plan, deadline, instead_of=held)
            self._flush_quietly()
        except Exception as error:  # noqa: BLE001 - grants of applications raise anything; the token in hand is valid
            self._tell_failure(key, error)
            renewed = None
        finally:
            self._end(key)
        if renewed is None:
            held.fresh_until = self._clock.now() + _AHEAD_AGAIN
            return held
        return renewed

    def _awaited(self, key: TokenKey, plan: TokenPlan, deadline: Deadline) -> HeldToken:
        since = self._clock.now()
        try:
            return self._looked_for(key, plan, deadline, since)
        finally:
            self._observer.token_waited(key.tenant_id, api=key.api, waited=self._clock.now() - since)

    def _looked_for(self, key: TokenKey, plan: TokenPlan, deadline: Deadline, since: datetime) -> HeldToken:
        while (held := self._held.usable(key)) is None:
            if self._begin(key):
                try:
                    held = self._held.usable(key) or self._polled(key, plan, deadline, since)
                    self._flush_quietly()
                finally:
                    self._end(key)
                break
            self._sleeper.sleep(self._pause(key, since, plan, deadline, _LONGEST_PAUSE_HERE))
        return held

    def _polled(self, key: TokenKey, plan: TokenPlan, deadline: Deadline, since: datetime) -> HeldToken:
        while (held := self._look(key, plan, deadline)) is None:
            self._sleeper.sleep(self._pause(key, since, plan, deadline, _LONGEST_PAUSE))
        return held

    def _look(
        self, key: TokenKey, plan: TokenPlan, deadline: Deadline, *, instead_of: HeldToken | None = None
    ) -> HeldToken | None:
        """One look into the store, and what can be done at once: share a token that is there, or make one."""
        read_at = self._clock.now()
        states = self._store.read(key)
        there = shared_slots(states, plan, instead_of=None if instead_of is None else instead_of.token_id)
        shared = [slot for slot in there if not self._held.is_refused(states[slot].token_id)]
        if plan.pool is not None:
            held = self._own_of_pool(key, plan, deadline, states, or_share=bool(shared))
            held = held or self._opened(key, plan, shared, states, read_at)
        else:
            held = self._opened(key, plan, shared, states, read_at) or self._made(key, plan, deadline, states)
        return held if held is not None and self._held.hold(key, held) else None

    def _own_of_pool(
        self, key: TokenKey, plan: TokenPlan, deadline: Deadline, states: States, *, or_share: bool
    ) -> HeldToken | None:
        try:
            return self._made(key, plan, deadline, states)
        except PermanentError:
            raise
        except Exception as error:  # as above: there are others to share
            if not or_share:
                raise
            self._tell_failure(key, error)
            return None

    def _opened(
        self, key: TokenKey, plan: TokenPlan, slots: Sequence[int], states: States, read_at: datetime
    ) -> HeldToken | None:
        first = int(self._randomness.fraction() * len(slots))
        for slot in (*slots[first:], *slots[:first]):
            held = self._make.opened(key, slot, states[slot], plan, read_at=read_at)
            if held is not None:
                return held
        return None

    def _made(self, key: TokenKey, plan: TokenPlan, deadline: Deadline, states: States) -> HeldToken | None:
        barred = barred_for(states)
        if barred > NOTHING:
            raise DeferError(
                f"token of {key.tenant_id!r} for {key.api!r}: the vendor is left alone after it has refused or failed",
                delay=barred,
            )
        if is_used_up(states, plan):
            raise used_up(key)
        free = free_slots(states, plan)
        if not free:
            return None
        if deadline.is_within(plan.grant.timeout, now=self._clock.now()):
            raise _no_time_to_ask(key, plan)
        slot = free[int(self._randomness.fraction() * len(free))]
        return self._make.make(key, slot, plan, seen=current_token(states, slot))

    def _pause(
        self, key: TokenKey, since: datetime, plan: TokenPlan, deadline: Deadline, longest: timedelta
    ) -> timedelta:
        """How long to wait before the next look.

        Raises:
            DeferError: longer than the call may.
        """
        now = self._clock.now()
        waited = now - since
        longest = max(longest, min(waited * _LATE, _LONGEST_PAUSE))
        grown = min(max(waited / _SHARE, _FIRST_PAUSE), longest)
        pause = grown / 2 + grown / 2 * self._randomness.fraction()
        if now + pause - since > plan.patience or deadline.is_within(pause + _TO_THE_DEADLINE, now=now):
            raise _put_off(key)
        return pause

    def _begin(self, key: TokenKey) -> bool:
        """Become the one thread of this instance that looks into the store; whether nobody else was."""
        with self._lock:
            if key in self._busy:
                return False
            self._busy.add(key)
            return True

    def _end(self, key: TokenKey) -> None:
        with self._lock:
            self._busy.discard(key)

    def _flush_quietly(self) -> None:
        """The store is being talked to anyway. Counts that do not arrive are not worth a failed call."""
        try:
            self.flush_uses()
        except ExchangeError as error:
            self._observer.event("token.uses_lost", error=type(error).__name__)

    def _tell_failure(self, key: TokenKey, error: Exception) -> None:
        self._observer.event(
            "token.not_renewed", tenant_id=key.tenant_id, api=key.api, error=type(error).__name__
        )


def _put_off(key: TokenKey) -> DeferError:
    return DeferError(
        f"token of {key.tenant_id!r} for {key.api!r}: it is being made, and this call has no time to wait for it",
        delay=_STAY_AWAY,
    )


def _no_time_to_ask(key: TokenKey, plan: TokenPlan) -> DeferError:
    seconds = plan.grant.timeout.total_seconds()
    return DeferError(
        f"token of {key.tenant_id!r} for {key.api!r}: to ask for it may take {seconds:g} s, and this call has less "
        "left; if none ever has as much, give the function more time, or the grant a shorter timeout",
        delay=_STAY_AWAY,
    )
