"""Token stores and grants that are wrong in one point each, around the right ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, cast

from api_exchange_core import TokenPool
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.ports.token_store import (
    NOTHING,
    NewToken,
    Takeover,
    TokenLease,
    TokenState,
    TokenStore,
)
from api_exchange_testing import SimulatedVendor
from api_exchange_testing.simulation.wiring import Ports
from benchmarks.simulation.callers import LIFETIME
from benchmarks.simulation.wrong_adapters import Around

SHORT: Final = timedelta(seconds=5)
"""How long clients wait for a vendor here, so that a lease ends while its holder stands still."""

POOL: Final = TokenPool(max_active=2, lifetime=LIFETIME)


def vendor(**options: Any) -> SimulatedVendor:
    """One whose tokens end early enough to be made anew in each schedule."""
    return SimulatedVendor(lifetime=LIFETIME, timeout=SHORT, **options)


def slow_vendor() -> SimulatedVendor:
    """One that takes longer than its clients say: it is asked again before it has answered."""
    return vendor(takes=timedelta(seconds=12))


class TakesRefreshTokensForRepeatable(SimulatedVendor):
    """A grant that says of its refresh tokens that they may be sent again, which they may not."""

    @property
    def is_repeatable(self) -> bool:
        return True


def _around(wrong: Callable[[TokenStore], Mapping[str, object]]) -> Callable[[Ports], Ports]:
    def ports(right: Ports) -> Ports:
        store = cast("TokenStore", Around(right.token_store, **wrong(right.token_store)))
        return replace(right, token_store=store)

    return ports


@dataclass(frozen=True)
class _StoresWithoutFence:
    """Writes a token over whatever is there, whoever has been given the lease since."""

    tokens: TokenStore

    def claim(self, key: TokenKey, *, slot: int, **options: Any) -> TokenLease | None:
        lease = self.tokens.claim(key, slot=slot, **options)
        if lease is not None:
            _NEWEST[key, slot] = lease
        return lease

    def store(self, lease: TokenLease, token: NewToken) -> bool:
        newest = _NEWEST[lease.key, lease.slot]
        return self.tokens.store(replace(lease, owner=newest.owner, fence=newest.fence), token)


_NEWEST: Final[dict[tuple[TokenKey, int], TokenLease]] = {}
"""The lease that a row of the store holds, for whoever writes as its holder."""


def _without_fence(tokens: TokenStore) -> Mapping[str, object]:
    wrong = _StoresWithoutFence(tokens)
    return {"claim": wrong.claim, "store": wrong.store}


def _invalidating(tokens: TokenStore) -> Mapping[str, object]:
    def invalidate(key: TokenKey, token_id: TokenId) -> bool:  # noqa: ARG001 - the bug
        current = [state.token_id for state in tokens.read(key).values() if state.token_id is not None]
        return sum(tokens.invalidate(key, one) for one in current) > 0

    return {"invalidate": invalidate}


def _forgetting(tokens: TokenStore) -> Mapping[str, object]:
    def read(key: TokenKey) -> Mapping[int, TokenState]:
        return {slot: replace(state, live_for=NOTHING) for slot, state in tokens.read(key).items()}

    def claim(key: TokenKey, *, takeover: Takeover, **options: Any) -> TokenLease | None:
        return tokens.claim(key, takeover=replace(takeover, after=NOTHING, beside_live=True), **options)

    return {"read": read, "claim": claim}


def _giving_away(tokens: TokenStore) -> Mapping[str, object]:
    def claim(key: TokenKey, *, takeover: Takeover, **options: Any) -> TokenLease | None:
        return tokens.claim(key, takeover=replace(takeover, after=-timedelta(hours=1)), **options)

    return {"claim": claim}


stores_without_fence = _around(_without_fence)
invalidates_what_is_there = _around(_invalidating)
forgets_what_may_be_live = _around(_forgetting)
gives_away_leases = _around(_giving_away)
