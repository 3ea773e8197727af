"""Tokens that all instances of a deployment share, and the right to make the next one.

The store's clock decides, and nobody else's: callers hand in spans of time and are answered in spans. Instances whose
clocks are half a minute apart so agree on when a lease ends and a token expires. A store that has no time of its own
takes its instance's, and must allow for the difference. What keeps a late leader out in any case is the fence.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.erasure import HeldApart
from api_exchange_core.ports.sealer import SealedText

NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenState:
    """What is kept of one token, as it was when it was read.

    Args:
        generation: how many were stored until now.
        token_id: of the current one; None if there is none.
        sealed: the current one.
        refresh: the newest refresh token, which outlives tokens.
        expires_in: of the current one; negative once it has.
        lifetime: that the current one had.
        live_for: how long the vendor may count a token of ours as live, whether we know it or not.
        leased_for: until the end of the lease that somebody took and has not ended; negative once it is over, which
            means that its holder died, or is late. None if nobody has one.
        failures: in a row.
        barred_for: how long nobody may ask the vendor.
        uses: how often tokens were handed out, as far as it was counted in.
    """

    generation: int = 0
    token_id: TokenId | None = None
    sealed: SealedText | None = field(default=None, repr=False)
    refresh: SealedText | None = field(default=None, repr=False)
    expires_in: timedelta = NOTHING
    lifetime: timedelta = NOTHING
    live_for: timedelta = NOTHING
    leased_for: timedelta | None = None
    failures: int = 0
    barred_for: timedelta = NOTHING
    uses: int = 0


@dataclass(frozen=True, slots=True)
class TokenLease:
    """The right to make the next token, until it runs out or somebody else is given it.

    Args:
        key: what the token is for.
        slot: which of the tokens that are kept for it.
        owner: the name of this lease, of which there is no other.
        fence: higher than that of any lease before.
        refresh: the newest refresh token.
        failures: in a row until now.
    """

    key: TokenKey
    slot: int
    owner: str
    fence: int
    refresh: SealedText | None = field(default=None, repr=False)
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """When the next token may be made.

    Args:
        after: how long after the end of a lease that was never ended by its holder; None if never, since it may have
            used up what cannot be used twice.
        beside_live: while the vendor may still count the last one as live.
    """

    after: timedelta | None = NOTHING
    beside_live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token to be stored.

    Args:
        token_id: its name, of which there is no other.
        sealed: the token.
        refresh: the refresh token that came with it; None leaves the one that is there.
        expires_in: from now.
        lifetime: from when it was asked for.
        live_for: how long the vendor counts it as live, from now, at most.
    """

    token_id: TokenId
    sealed: SealedText = field(repr=False)
    refresh: SealedText | None = field(repr=False)
    expires_in: timedelta
    lifetime: timedelta
    live_for: timedelta


class TokenStore(Protocol):
    """Keeps tokens, sealed, in numbered slots of a key. At most one holder of a lease may fill a slot."""

    @abstractmethod
    def read(self, key: TokenKey) -> Mapping[int, TokenState]:
        """What is kept for *key*, by slot.

        Raises:
            TransientError: the store could not be reached.
        """

    @abstractmethod
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
        """Become the one that makes the next token.

        Of many that ask at the same time one gets the lease. None for the others, for all while the vendor is not to be
        asked, and for whoever has not *seen* the current token.

        Args:
            key: what the token is for.
            slot: which of its slots.
            seen: the token that is to be replaced.
            owner: a fresh name.
            lease: how long.
            takeover: what may be passed over.

        Raises:
            TransientError: the store could not be reached; whether the lease was given is not known.
        """

    @abstractmethod
    def store(self, lease: TokenLease, token: NewToken) -> bool:
        """Store *token* and end the lease, in one step; failures and bar are forgotten.

        Returns:
            False, and nothing is stored, if somebody else was given a lease meanwhile.

        Raises:
            TransientError: the store could not be reached; `read` shows whether it is stored.
        """

    @abstractmethod
    def give_back(
        self, lease: TokenLease, *, failed: bool, bar: timedelta = NOTHING, live_for: timedelta = NOTHING
    ) -> bool:
        """End the lease without a token.

        Args:
            lease: which.
            failed: whether that counts as a failure.
            bar: how long nobody is to ask the vendor, from now.
            live_for: how long the vendor may count a token as live that never arrived here.

        Returns:
            False, and nothing is changed, if somebody else was given a lease meanwhile.

        Raises:
            TransientError: the store could not be reached; the lease runs out by itself.
        """

    @abstractmethod
    def invalidate(self, key: TokenKey, token_id: TokenId) -> bool:
        """Forget a token that the vendor does not take any more; refresh token and leases stay.

        Returns:
            False, and nothing is changed, if *token_id* is not a current one.

        Raises:
            TransientError: the store could not be reached.
        """

    @abstractmethod
    def count(self, uses: Mapping[tuple[TokenKey, int], int]) -> None:
        """Add to the uses of slots; of those that are not there any more nothing is kept.

        Raises:
            TransientError: the store could not be reached; whether they were added is not known.
        """

    @abstractmethod
    def sweep(self, *, unused_for: timedelta, limit: int) -> int:
        """Remove up to *limit* slots whose tokens expired so long ago; how many that was.

        Those stay that hold a refresh token, are barred or leased, or whose token may be live.

        Raises:
            TransientError: the store could not be reached.
        """


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One slot, as operators see it."""

    key: TokenKey
    slot: int
    state: TokenState


class TokenRecords(Protocol):
    """The same tokens, as those who look after them see them. Nothing here opens a seal."""

    @abstractmethod
    def all(self, tenant_id: TenantId | None = None) -> Sequence[TokenRecord]:
        """What is kept of one tenant, or of all, by tenant, API, scope and slot.

        Raises:
            TransientError: the store could not be reached.
        """

    @abstractmethod
    def reset(self, key: TokenKey, *, forget_refresh: bool = False) -> int:
        """Let the next token be asked for at once: leases, failures and bars of *key* are gone, whatever they were of.

        A holder of a lease that comes back later is refused. Tokens stay.

        Args:
            key: which.
            forget_refresh: the refresh token is used up or revoked; the next exchange begins with the configured one.

        Returns:
            How many slots there were.

        Raises:
            TransientError: the store could not be reached.
        """

    @abstractmethod
    def replace(self, record: TokenRecord, *, sealed: SealedText | None, refresh: SealedText | None) -> bool:
        """Keep the same token and refresh token under other seals; nothing else changes, leases least of all.

        Args:
            record: as it was read.
            sealed: the token; None if it has none.
            refresh: the refresh token; None if it has none.

        Returns:
            False, and nothing is changed, if one of the two is another by now.

        Raises:
            TransientError: the store could not be reached.
        """


class TokensApart(TokenRecords, HeldApart, Protocol):
    """Tokens that are kept apart from everything else there is of a tenant, in slots."""
