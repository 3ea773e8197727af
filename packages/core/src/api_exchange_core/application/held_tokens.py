"""The tokens in the memory of one instance."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.secret import Secret
from api_exchange_core.ports.clock import Clock

MOST_HELD: Final = 10_000
"""Tokens in memory; the one that came first goes when one more comes, and is read again if it is needed."""

_MOST_REFUSED: Final = 1_000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True)
class HeldToken:
    """A token in the memory of one instance, by the clock of that instance.

    Args:
        token: the token.
        token_id: its name.
        slot: where it is stored.
        since: when it was read or asked for. A clock that tells an earlier time has been set back, and nobody knows
            by it how old the token is.
        usable_until: until then it is handed out.
        fresh_until: until then nobody here asks for the next one.
    """

    token: Secret
    token_id: TokenId
    slot: int
    since: datetime
    usable_until: datetime
    fresh_until: datetime


class HeldTokens:
    """What an instance holds of each key: the newest token, unless it was refused.

    Args:
        clock: of this instance.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[TokenKey, HeldToken] = {}
        self._refused: dict[TokenId, None] = {}  # in the order in which they were
        self._lock = threading.Lock()

    def fresh(self, key: TokenKey) -> HeldToken | None:
        """The token, if nobody needs to ask for the next one yet."""
        held = self._held.get(key)
        return held if held is not None and held.since <= self._clock.now() < held.fresh_until else None

    def usable(self, key: TokenKey) -> HeldToken | None:
        """The token, if it can still be handed out."""
        held = self._held.get(key)
        return held if held is not None and held.since <= self._clock.now() < held.usable_until else None

    def hold(self, key: TokenKey, held: HeldToken) -> bool:
        """Hand it out from now on; False if it was refused since it was read."""
        with self._lock:
            if held.token_id in self._refused:
                return False
            self._held[key] = held
            _let_go(self._held, MOST_HELD)
            return True

    def refuse(self, key: TokenKey, token_id: TokenId) -> None:
        """Hand it out no more, even where somebody has read it before and comes with it now."""
        with self._lock:
            self._refused[token_id] = None
            _let_go(self._refused, _MOST_REFUSED)
            held = self._held.get(key)
            if held is not None and held.token_id == token_id:
                del self._held[key]

    def allow(self, token_id: TokenId) -> None:
        """Take back a refusal of which the store has not heard: to others the token is as good as before."""
        with self._lock:
            self._refused.pop(token_id, None)

    def is_refused(self, token_id: TokenId | None) -> bool:
        """Whether it was refused here of late."""
        return token_id in self._refused


def _let_go(kept: dict[_Key, _Value], most: int) -> None:
    """Of what is too much the oldest."""
    if len(kept) > most:
        del kept[next(iter(kept))]
