"""A watch on tokens: on who stores them under which lease, and on what is handed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import override

from api_exchange_core.application.api_tokens import ApiTokens
from api_exchange_core.application.held_tokens import HeldToken
from api_exchange_core.application.token_plan import TokenPlan
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.token_store import (
    NOTHING,
    NewToken,
    Takeover,
    TokenLease,
    TokenState,
    TokenStore,
)

_Slot = tuple[TokenKey, int]


@dataclass(frozen=True, slots=True)
class Issue:
    """A token that a vendor has issued.

    Args:
        tenant_id: to whom.
        token: what it is.
        issued_at: by the true time.
        expires_at: by the true time.
    """

    tenant_id: TenantId
    token: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class TokenWatch:
    """What is known of the tokens of all instances.

    Args:
        clock: the true time.

    Attributes:
        issues: what vendors of the simulation have issued, by token.
        wrong: what was seen to be wrong when it happened.
    """

    clock: Clock
    issues: dict[str, Issue] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _newest: dict[_Slot, TokenLease] = field(default_factory=dict)
    _held_until: dict[str, datetime] = field(default_factory=dict)
    _stored: set[str] = field(default_factory=set)
    _current: dict[_Slot, TokenId] = field(default_factory=dict)
    _past: set[TokenId] = field(default_factory=set)
    _slack: dict[TokenId, timedelta] = field(default_factory=dict)

    def claimed(self, lease: TokenLease, until: datetime) -> None:
        """Somebody was given *lease*."""
        before = self._newest.get((lease.key, lease.slot))
        if before is not None and self._held_until.get(before.owner, until) > self.clock.now():
            self.wrong.append(f"two at once: the lease of {_told(lease)} was given away while it was held")
        self._newest[lease.key, lease.slot] = lease
        self._held_until[lease.owner] = until

    def ending(self, lease: TokenLease) -> None:
        """Its holder ends *lease*; whether it will hear of that is not known."""
        self._held_until[lease.owner] = self.clock.now()

    def took(self, token_id: TokenId, time: timedelta) -> None:
        """So long it took the store to be told of a token, during which nobody can know how old that grows."""
        self._slack[token_id] = max(time, self._slack.get(token_id, time))

    def stored(self, lease: TokenLease, token_id: TokenId) -> None:
        """A token was stored under *lease*."""
        newest = self._newest.get((lease.key, lease.slot))
        if newest is not None and newest.owner != lease.owner:
            self.wrong.append(
                f"a late one stored a token: under fence {lease.fence} of {_told(lease)}, after somebody was given "
                f"{newest.fence}"
            )
        if lease.owner in self._stored:
            self.wrong.append(f"two tokens under one lease: fence {lease.fence} of {_told(lease)}")
        self._stored.add(lease.owner)
        before = self._current.get((lease.key, lease.slot))
        if before is not None:
            self._past.add(before)
        self._current[lease.key, lease.slot] = token_id

    def invalidated(self, key: TokenKey, token_id: TokenId) -> None:
        """The store says that *token_id* was the current one, and is no more."""
        if token_id in self._past:
            self.wrong.append(
                f"a token ended for another: {key.api} of {key.tenant_id} was told of a token that had been replaced "
                "or ended before, and took it for the current one"
            )
        self._past.add(token_id)

    def shown(self, key: TokenKey, states: Mapping[int, TokenState]) -> None:
        """The store hands out *states*."""
        if any(state.token_id in self._past for state in states.values()):
            self.wrong.append(
                f"a token came back: {key.api} of {key.tenant_id} has one that was ended before"
            )

    def handed_out(self, key: TokenKey, held: HeldToken, *, begun: datetime, refused: set[TokenId]) -> None:
        """An instance hands out a token in a call that has *begun*, after it was told of those that were *refused*."""
        if held.token_id in refused:
            self.wrong.append(
                f"a refused token handed out: {key.api} of {key.tenant_id}, by the instance that invalidated it"
            )
        issue = self.issues.get(held.token.reveal())
        slack = self._slack.get(held.token_id, NOTHING)
        if issue is not None and issue.expires_at + slack <= begun:
            self.wrong.append(f"an expired token handed out: {key.api} of {key.tenant_id}")


@dataclass(frozen=True, slots=True)
class WatchedTokenStore(TokenStore):
    """A store as one instance uses it, with the watch in between."""

    tokens: TokenStore
    watch: TokenWatch

    @override
    def read(self, key: TokenKey) -> Mapping[int, TokenState]:
        states = self.tokens.read(key)
        self.watch.shown(key, states)
        return states

    @override
    def claim(
        self,
        key: TokenKey,
        *,
        slot: int,
        seen: TokenId | None,
        owner: str,
        lease: timedelta,
        takeover: Takeover,
    ) -> TokenLease | None:
        asked_at = self.watch.clock.now()
        given = self.tokens.claim(key, slot=slot, seen=seen, owner=owner, lease=lease, takeover=takeover)
        if given is not None:
            self.watch.claimed(given, asked_at + lease)
        return given

    @override
    def store(self, lease: TokenLease, token: NewToken) -> bool:
        self.watch.ending(lease)
        began_at = self.watch.clock.now()
        try:
            stored = self.tokens.store(lease, token)
        finally:
            self.watch.took(token.token_id, self.watch.clock.now() - began_at)
        if stored:
            self.watch.stored(lease, token.token_id)
        return stored

    @override
    def give_back(
        self, lease: TokenLease, *, failed: bool, bar: timedelta = NOTHING, live_for: timedelta = NOTHING
    ) -> bool:
        self.watch.ending(lease)
        return self.tokens.give_back(lease, failed=failed, bar=bar, live_for=live_for)

    @override
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        was_current = self.tokens.invalidate(key, token_id)
        if was_current:
            self.watch.invalidated(key, token_id)
        return was_current

    @override
    def count(self, uses: Mapping[tuple[TokenKey, int], int]) -> None:
        self.tokens.count(uses)

    @override
    def sweep(self, *, unused_for: timedelta, limit: int) -> int:
        return self.tokens.sweep(unused_for=unused_for, limit=limit)


class WatchedTokens(ApiTokens):
    """The tokens of one instance, with a watch on what it hands out.

    Args:
        watch: of all instances.
        ports: by name, as `ApiTokens` takes them.
    """

    def __init__(self, watch: TokenWatch, **ports: Any) -> None:
        super().__init__(**ports)
        self._watch = watch
        self._refused: set[TokenId] = set()

    @override
    def at_hand(self, key: TokenKey) -> HeldToken | None:
        held = super().at_hand(key)
        if held is not None:
            self._watch.handed_out(key, held, begun=self._watch.clock.now(), refused=self._refused)
        return held

    @override
    def get(self, key: TokenKey, plan: TokenPlan, deadline: Deadline = NO_DEADLINE) -> HeldToken:
        begun, refused = self._watch.clock.now(), set(self._refused)
        held = super().get(key, plan, deadline)
        self._watch.handed_out(key, held, begun=begun, refused=refused)
        return held

    @override
    async def get_async(self, key: TokenKey, plan: TokenPlan, deadline: Deadline = NO_DEADLINE) -> HeldToken:
        begun, refused = self._watch.clock.now(), set(self._refused)
        held = await super().get_async(key, plan, deadline)
        self._watch.handed_out(key, held, begun=begun, refused=refused)
        return held

    @override
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        was_current = super().invalidate(key, token_id)
        self._refused.add(token_id)
        return was_current


def _told(lease: TokenLease) -> str:
    return f"{lease.key.api} of {lease.key.tenant_id}"
