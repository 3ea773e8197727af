"""How an application wants the tokens of one API to be got and used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.api_token import TokenPool, TokenUse
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import TokenAnswer
from api_exchange_core.ports.token_grant import TokenGrant
from api_exchange_core.ports.token_store import Takeover

STORING: Final = timedelta(seconds=5)
"""How much longer than the vendor's time a lease is, for what comes before and after."""

LONGEST_TIMEOUT: Final = timedelta(minutes=5)

Ask = Callable[[], TokenAnswer | tuple[str, float | timedelta]]
"""Gets a token somehow: an answer, or the token with the seconds or the time that it lives."""


@dataclass(frozen=True, slots=True)
class CallableGrant(TokenGrant):
    """An application's own way to get a token, which may be gone twice.

    Args:
        call: gets a token.
        timeout: how long that takes at most. It is for *call* to see to it: what takes longer loses its lease, and
            another instance asks as well.
    """

    call: Ask
    timeout: timedelta = timedelta(seconds=10)

    @property
    @override
    def is_repeatable(self) -> bool:
        return True

    @override
    def ask(self, refresh_token: Secret | None) -> TokenAnswer:
        answer = self.call()
        return answer if isinstance(answer, TokenAnswer) else TokenAnswer.of(*answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlan:
    """One API's tokens.

    Args:
        grant: how they are got.
        use: how long they are used.
        pool: for vendors that count them.
        patience: how long a call waits for a token before it is put off.

    Raises:
        DeclarationError: the grant's timeout is no time up to five minutes, or a pool is asked for where only one
            refresh token is.
    """

    grant: TokenGrant
    use: TokenUse = field(default_factory=TokenUse)
    pool: TokenPool | None = None
    patience: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if not timedelta(0) < self.grant.timeout <= LONGEST_TIMEOUT:
            raise DeclarationError(
                f"asking for a token takes a time above zero and up to {LONGEST_TIMEOUT}, not {self.grant.timeout!r}"
            )
        if self.pool is not None and not self.grant.is_repeatable:
            raise DeclarationError(
                "a pool needs a grant that may be repeated: refresh tokens that rotate have one line"
            )

    @property
    def lease(self) -> timedelta:
        """How long the right to ask lasts: always longer than asking, so that it needs no renewal."""
        return self.grant.timeout + STORING

    @property
    def slots(self) -> int:
        """How many tokens there may be at a time."""
        return 1 if self.pool is None else self.pool.max_active

    @property
    def takeover(self) -> Takeover:
        """What may be passed over to make the next one."""
        if self.pool is not None:
            return Takeover(after=self.pool.lifetime + self.pool.skew, beside_live=False)
        return Takeover() if self.grant.is_repeatable else Takeover(after=None)
