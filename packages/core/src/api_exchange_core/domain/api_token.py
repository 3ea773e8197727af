"""Tokens for other people's APIs: whose they are, how long they are used, and what follows when one is refused.

All of it counts in spans of time. Instances whose clocks differ share a token, so no instance is told a point in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final, NewType

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.names import MAX_IDENTIFIER, TenantId

TokenId = NewType("TokenId", str)
"""Names one generation of a token, and says nothing about it."""

MOST_REFUSALS: Final = 10
"""After so many refusals in a row a message is not worth keeping back any longer: somebody has to do something."""

_FIRST_BAR: Final = timedelta(seconds=5)
_LONGEST_BAR: Final = timedelta(minutes=15)
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=1)
_DOUBLINGS: Final = 12  # beyond which every bar is its longest


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token is for.

    Args:
        tenant_id: on whose behalf.
        api: the application's name for the API.
        scope: what is asked for, as the vendor writes it; may be empty.

    Raises:
        DeclarationError: the name of the API is empty, or one of the two is longer than 255 characters.
    """

    tenant_id: TenantId
    api: str
    scope: str = ""

    def __post_init__(self) -> None:
        if not self.api or max(len(self.api), len(self.scope)) > MAX_IDENTIFIER:
            raise DeclarationError(
                f"tokens are for an API with a name and a scope of at most {MAX_IDENTIFIER} characters each, "
                f"not for {self.api!r} and {self.scope!r}"
            )

    @property
    def digest(self) -> str:
        """64 hex digits for API and scope, where a key can be neither as long as these nor of any character."""
        api, scope = self.api.encode(), self.scope.encode()
        return sha256(len(api).to_bytes(4, "big") + api + scope).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """How long a token is handed out, and when the next one is made.

    Args:
        ahead: how long before its end the next one is asked for, while this one is still handed out.
        leeway: how long before its end it is handed out no more: a request takes its time.

    Both count for tokens that live long enough: of one's life they take at most a quarter and a tenth.

    Raises:
        DeclarationError: one of them is negative.
    """

    ahead: timedelta = timedelta(minutes=5)
    leeway: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if min(self.ahead, self.leeway) < timedelta(0):
            raise DeclarationError(f"ahead and leeway cannot be negative: {self.ahead!r} and {self.leeway!r}")

    def usable_for(self, left: timedelta, *, lifetime: timedelta) -> timedelta:
        """How long a token of *lifetime* is still handed out that expires in *left*; not above zero if it is not."""
        return left - min(self.leeway, lifetime / 10)

    def fresh_for(self, left: timedelta, *, lifetime: timedelta, fraction: float) -> timedelta:
        """How long nobody here needs to ask for the next one.

        Args:
            left: until it expires.
            lifetime: that it had.
            fraction: from 0 to 1, by chance, so that instances do not all ask at once.
        """
        ahead = min(self.ahead, lifetime / 4)
        return self.usable_for(left, lifetime=lifetime) - ahead / 2 - ahead / 2 * fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPool:
    """For a vendor that lets only so many tokens live: one more would end the oldest.

    An instance that has none makes one of its own while there is room, and then shares one of the others. A token
    counts as live until it has surely expired, or the vendor has refused it; so does one that was asked for and never
    arrived.

    Args:
        max_active: how many the vendor allows for a tenant and scope.
        lifetime: how long a token lives at most, for those that never arrived, or of which the vendor does not say it.
        skew: how much longer the vendor may think that a token lives.

    Raises:
        DeclarationError: there is no room for a token, or a time is negative.
    """

    max_active: int
    lifetime: timedelta = timedelta(hours=1)
    skew: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if self.max_active < 1 or self.lifetime <= timedelta(0) or self.skew < timedelta(0):
            raise DeclarationError(
                "a pool holds at least one token, which lives for a time above zero: "
                f"not {self.max_active!r}, {self.lifetime!r} and {self.skew!r}"
            )


def bar_after_refusal(refusals: int, *, asked: timedelta | None = None) -> timedelta:
    """How long the vendor is left alone after it has refused *refusals* times in a row, and *asked* for a pause."""
    return max(_doubled(_FIRST_BAR, refusals, _LONGEST_BAR), asked or timedelta(0))


def bar_after_failure(failures: int) -> timedelta:
    """How long it is left alone after *failures* times in a row it was out of reach, or gave no sensible answer."""
    return _doubled(_FIRST_PAUSE, failures, _LONGEST_PAUSE)


def _doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    return min(first * (1 << min(max(times - 1, 0), _DOUBLINGS)), longest)
