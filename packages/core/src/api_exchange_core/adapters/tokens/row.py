"""One slot as a store keeps it, and what each operation of the port makes of it.

A store that can only replace what it has read asks here what to put in its place, and does so on condition that nobody
else has. One whose service takes conditions says the same in the service's words, and reads here.

Clocks that may differ are allowed for by a *skew*: what lets others act lasts longer by it, and what is handed out less
long. An operation that was carried out already changes nothing, and is no failure: a write whose answer was lost is
sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.ports.sealer import SealedText
from api_exchange_core.ports.token_store import NOTHING, NewToken, Takeover, TokenLease, TokenState


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """What is kept of a slot; the names are those of `TokenState`, in points of time.

    Each method that changes it gives the row that comes in its place: the same one if nothing has to change, and None
    if it may not be changed so.

    Args:
        changed_at: by whoever made a token, tried to, or put an end to one.
        fence: of the newest lease.
        lease_owner: who has it; None if nobody does.
        lease_until: when it ends.
    """

    changed_at: datetime
    fence: int = 0
    generation: int = 0
    token_id: TokenId | None = None
    sealed: SealedText | None = None
    refresh: SealedText | None = None
    expires_at: datetime | None = None
    lifetime: timedelta = NOTHING
    live_until: datetime | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    failures: int = 0
    barred_until: datetime | None = None
    uses: int = 0

    def state(self, now: datetime, *, skew: timedelta = NOTHING) -> TokenState:
        """What is told of it."""
        return TokenState(
            generation=self.generation,
            token_id=self.token_id,
            sealed=self.sealed,
            refresh=self.refresh,
            expires_in=_left(self.expires_at, now + skew),
            lifetime=self.lifetime,
            live_for=max(_left(self.live_until, now - skew), NOTHING),
            leased_for=None if self.lease_owner is None else _left(self.lease_until, now - skew),
            failures=self.failures,
            barred_for=max(_left(self.barred_until, now), NOTHING),
            uses=self.uses,
        )

    def lease(self, key: TokenKey, slot: int, owner: str) -> TokenLease:
        """The lease that *owner* has of it."""
        return TokenLease(key, slot, owner, self.fence, self.refresh, self.failures)

    def claimed(
        self,
        now: datetime,
        *,
        seen: TokenId | None,
        owner: str,
        lease: timedelta,
        takeover: Takeover,
        skew: timedelta = NOTHING,
    ) -> TokenRow | None:
        """Leased, if it may be."""
        if self.lease_owner == owner:
            return self
        if self.token_id != seen or not self._is_free(now, takeover, skew):
            return None
        return replace(self, fence=self.fence + 1, lease_owner=owner, lease_until=now + lease, changed_at=now)

    def stored(self, lease: TokenLease, token: NewToken, now: datetime) -> TokenRow | None:
        """With the token, and without the lease."""
        if self.token_id == token.token_id:
            return self
        if not self._is_held(lease):
            return None
        return replace(
            self._unleased(now),
            generation=self.generation + 1,
            token_id=token.token_id,
            sealed=token.sealed,
            refresh=self.refresh if token.refresh is None else token.refresh,
            expires_at=now + token.expires_in,
            lifetime=token.lifetime,
            live_until=now + token.live_for,
            failures=0,
            barred_until=None,
        )

    def given_back(
        self, lease: TokenLease, now: datetime, *, failed: bool, bar: timedelta, live_for: timedelta
    ) -> TokenRow | None:
        """Without the lease, and with what became of it."""
        if not self._is_held(lease):
            return None
        return replace(
            self._unleased(now),
            failures=self.failures + failed,
            barred_until=now + bar if bar > NOTHING else self.barred_until,
            live_until=now + live_for if live_for > NOTHING else self.live_until,
        )

    def invalidated(self, token_id: TokenId, now: datetime) -> TokenRow | None:
        """Without that token."""
        if self.token_id != token_id:
            return None
        return replace(self, token_id=None, sealed=None, expires_at=now, live_until=None, changed_at=now)

    def reset(self, now: datetime, *, forget_refresh: bool) -> TokenRow:
        """Without lease, failures and bar."""
        return replace(
            self._unleased(now),
            fence=self.fence + 1,
            failures=0,
            barred_until=None,
            refresh=None if forget_refresh else self.refresh,
        )

    def resealed(
        self, was: TokenState, *, sealed: SealedText | None, refresh: SealedText | None
    ) -> TokenRow | None:
        """With other seals, if its own are those that it *was* read with."""
        if (self.sealed, self.refresh) != (was.sealed, was.refresh):
            return None
        return replace(self, sealed=sealed, refresh=refresh)

    def used(self, times: int) -> TokenRow:
        """With so many more uses."""
        return replace(self, uses=self.uses + times)

    def is_unneeded(self, now: datetime, *, before: datetime) -> bool:
        """Whether its token expired *before*, and it has nothing that is still of use."""
        return (
            self.changed_at <= before
            and _is_past(self.expires_at, before)
            and _is_past(self.live_until, now)
            and _is_past(self.barred_until, now)
            and self.lease_owner is None
            and self.refresh is None
        )

    def _is_free(self, now: datetime, takeover: Takeover, skew: timedelta) -> bool:
        if not _is_past(self.barred_until, now):
            return False
        if not takeover.beside_live and not _is_past(self.live_until, now - skew):
            return False
        if self.lease_owner is None:
            return True
        return takeover.after is not None and _is_past(self.lease_until, now - skew - takeover.after)

    def _is_held(self, lease: TokenLease) -> bool:
        """Also after its time, as long as nobody else was given one. The owner tells it from leases of a row before."""
        return (self.fence, self.lease_owner) == (lease.fence, lease.owner)

    def _unleased(self, now: datetime) -> TokenRow:
        return replace(self, lease_owner=None, lease_until=None, changed_at=now)


def _left(until: datetime | None, now: datetime) -> timedelta:
    return NOTHING if until is None else until - now


def _is_past(until: datetime | None, now: datetime) -> bool:
    return until is None or until <= now
