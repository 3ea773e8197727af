"""Making the next token: by one instance at a time, whatever happens to it in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from api_exchange_core.application.held_tokens import HeldToken
from api_exchange_core.application.token_plan import STORING, TokenPlan
from api_exchange_core.domain.api_token import (
    MOST_REFUSALS,
    TokenId,
    TokenKey,
    bar_after_failure,
    bar_after_refusal,
)
from api_exchange_core.domain.errors import (
    LONGEST_WAIT,
    DeferError,
    ExchangeError,
    PermanentError,
    RetryableError,
    TransientError,
)
from api_exchange_core.domain.secret import Secret
from api_exchange_core.domain.token_answer import TokenAnswer
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.sealer import SealedText, Sealer
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.token_grant import TokenRefusedError
from api_exchange_core.ports.token_store import NOTHING, NewToken, TokenLease, TokenState, TokenStore

ACCESS: Final = "access token"
REFRESH: Final = "refresh token"
_STORE_AGAIN_AFTER: Final = (timedelta(milliseconds=200), timedelta(seconds=1), timedelta(seconds=2))


@dataclass(frozen=True, slots=True)
class MakeToken:
    """Takes the lease, asks the vendor, stores what it answers. Nothing is locked while the vendor is asked.

    Args:
        store: of the tokens.
        sealer: encrypts them.
        clock: tells the time of this instance.
        sleeper: lets time pass between tries to store.
        randomness: makes names.
        observer: hears what happened.
    """

    store: TokenStore
    sealer: Sealer
    clock: Clock
    sleeper: Sleeper
    randomness: Randomness
    observer: Observer

    def opened(
        self, key: TokenKey, slot: int, state: TokenState, plan: TokenPlan, *, read_at: datetime
    ) -> HeldToken | None:
        """The token in *state*, if it can still be handed out.

        Args:
            key: what it is for.
            slot: where it is.
            state: as the store told it.
            plan: how long it is used.
            read_at: when the store was asked, by the clock of this instance.

        Raises:
            TransientError: the keys are out of reach.
        """
        usable = plan.use.usable_for(state.expires_in, lifetime=state.lifetime)
        if state.token_id is None or state.sealed is None or usable <= NOTHING:
            return None
        try:
            token = self._unsealed(key, state.sealed, ACCESS)
        except PermanentError:  # sealed with a key that is gone: as good as no token
            self._tell("token.unreadable", key)
            return None
        return self._held(token, state.token_id, slot, state.expires_in, state.lifetime, plan, read_at)

    def make(self, key: TokenKey, slot: int, plan: TokenPlan, *, seen: TokenId | None) -> HeldToken | None:
        """Replace the token that was *seen*.

        Returns:
            The new one; None if another instance makes it, or was given the lease meanwhile, or if this one came too
            late to its turn to ask.

        Raises:
            DeferError: the vendor refused, and is left alone for a while.
            PermanentError: it has refused for so long that somebody must mend something; or there are no keys.
            RetryableError: what it issued has ended already.
            TransientError: store, keys or vendor could not be reached.
        """
        owner = self.randomness.new_id()
        claimed_at = self.clock.now()
        lease = self.store.claim(
            key, slot=slot, seen=seen, owner=owner, lease=plan.lease, takeover=plan.takeover
        )
        if lease is None:
            return None
        refresh = self._prepared(lease)
        asked_at = self.clock.now()
        if asked_at - claimed_at > STORING:
            # It stood still. Whoever takes over counts on it that nothing is issued after the end of the lease.
            self._tell("token.late", lease.key, seconds=(asked_at - claimed_at).total_seconds())
            self._persistently(lambda: self.store.give_back(lease, failed=False))
            return None
        try:
            answer = plan.grant.ask(refresh)
        except TokenRefusedError as refusal:
            problem = self._refused(lease, refusal)
            if problem is None:
                return None
            raise problem from refusal
        except Exception as error:
            if self._failed(lease, plan, error):
                raise
            return None
        return self._stored(lease, plan, answer, asked_at)

    def _prepared(self, lease: TokenLease) -> Secret | None:
        """The refresh token. What could go wrong with the keys goes wrong here, before anything is used up."""
        try:
            self._sealed(lease.key, Secret(lease.owner), ACCESS)
            return None if lease.refresh is None else self._unsealed(lease.key, lease.refresh, REFRESH)
        except ExchangeError:
            self._persistently(lambda: self.store.give_back(lease, failed=False))
            raise

    def _refused(self, lease: TokenLease, refusal: TokenRefusedError) -> ExchangeError | None:
        """What is to be raised; None if it is another instance's business by now."""
        refusals = lease.failures + 1
        bar = min(bar_after_refusal(refusals, asked=refusal.retry_after), LONGEST_WAIT)
        self._tell(
            "token.refused", lease.key, reason=str(refusal), times=refusals, seconds=bar.total_seconds()
        )
        if not self._persistently(lambda: self.store.give_back(lease, failed=True, bar=bar)):
            return None
        if refusal.final and refusals >= MOST_REFUSALS:
            return PermanentError(
                f"{_named(lease.key)}: the vendor has refused {refusals} times in a row ({refusal}). Mend the "
                "credentials, then `api-exchange tokens reset`, and replay the dead letters"
            )
        return DeferError(f"{_named(lease.key)}: {refusal}", delay=bar)

    def _failed(self, lease: TokenLease, plan: TokenPlan, error: Exception) -> bool:
        """Whether a token was issued is not known. False if it is another instance's business by now."""
        self._tell("token.failed", lease.key, reason=type(error).__name__, times=lease.failures + 1)
        if not plan.grant.is_repeatable:
            return True  # the lease that nobody ends says that the refresh token may be used up
        live_for = NOTHING if plan.pool is None else plan.pool.lifetime + plan.pool.skew
        bar = bar_after_failure(lease.failures + 1)
        return self._persistently(
            lambda: self.store.give_back(lease, failed=True, bar=bar, live_for=live_for)
        )

    def _stored(
        self, lease: TokenLease, plan: TokenPlan, answer: TokenAnswer, asked_at: datetime
    ) -> HeldToken | None:
        refresh = answer.refresh_token
        token = NewToken(
            token_id=TokenId(self.randomness.new_id()),
            sealed=self._sealed(lease.key, answer.token, ACCESS),
            refresh=None if refresh is None else self._sealed(lease.key, refresh, REFRESH),
            expires_in=answer.expires_in,
            lifetime=answer.expires_in,
            live_for=_live_for(answer, plan),  # and ends before an answer that took no time would
        )
        if not self._persistently(lambda: self._store_once(lease, token, asked_at)):
            took = self.clock.now() - asked_at
            self._tell("token.late", lease.key, seconds=took.total_seconds())
            return None
        held = self._held(
            answer.token, token.token_id, lease.slot, answer.expires_in, answer.expires_in, plan, asked_at
        )
        if held.usable_until <= self.clock.now():
            raise RetryableError(
                f"{_named(lease.key)}: it lives for {answer.expires_in}, and had ended when it was stored: the "
                "vendor took too long to answer"
            )
        return held

    def _persistently(self, change: Callable[[], bool]) -> bool:
        """Change the store in spite of a moment's trouble.

        A token that is lost may have cost a refresh token, and a lease that is not ended looks as if it had.
        """
        for pause in _STORE_AGAIN_AFTER:
            try:
                return change()
            except TransientError:
                self.sleeper.sleep(pause)
        return change()

    def _store_once(self, lease: TokenLease, token: NewToken, asked_at: datetime) -> bool:
        # At the vendor its life began after we asked, and it goes on while keys and store take their time.
        passed = max(self.clock.now() - asked_at, NOTHING)
        if self.store.store(lease, replace(token, expires_in=token.expires_in - passed)):
            return True
        state = self.store.read(lease.key).get(lease.slot)  # a try whose answer was lost may have stored it
        return state is not None and state.token_id == token.token_id

    def _held(
        self,
        token: Secret,
        token_id: TokenId,
        slot: int,
        left: timedelta,
        lifetime: timedelta,
        plan: TokenPlan,
        at: datetime,
    ) -> HeldToken:
        usable = plan.use.usable_for(left, lifetime=lifetime)
        fraction = self.randomness.fraction()
        fresh = usable if plan.pool else plan.use.fresh_for(left, lifetime=lifetime, fraction=fraction)
        return HeldToken(token, token_id, slot, at, at + usable, at + fresh)

    def _sealed(self, key: TokenKey, secret: Secret, kind: str) -> SealedText:
        return self.sealer.seal(secret.reveal().encode(), bound_to=token_binding(key, kind))

    def _unsealed(self, key: TokenKey, sealed: SealedText, kind: str) -> Secret:
        return Secret(self.sealer.unseal(sealed, bound_to=token_binding(key, kind)).decode())

    def _tell(self, name: str, key: TokenKey, **facts: str | float | None) -> None:
        self.observer.event(name, tenant_id=key.tenant_id, api=key.api, scope=key.scope, **facts)


def used_up(key: TokenKey) -> PermanentError:
    """What is raised where a refresh token may have been used up by an instance that died before it stored the next."""
    scope = f" --scope {key.scope!r}" if key.scope else ""
    return PermanentError(
        f"{_named(key)}: an exchange of the refresh token was begun and never ended, so the token may be used up. "
        f"`api-exchange tokens reset {key.tenant_id} {key.api}{scope}` tries it once more; with "
        "--forget-refresh-token the next exchange begins with the configured one. Then replay the dead letters"
    )


def _live_for(answer: TokenAnswer, plan: TokenPlan) -> timedelta:
    """How long the vendor may count it as live."""
    if plan.pool is None:
        return answer.expires_in
    life = answer.expires_in if answer.is_said else max(answer.expires_in, plan.pool.lifetime)
    return life + plan.pool.skew


def token_binding(key: TokenKey, kind: str) -> tuple[str, ...]:
    """What a token is bound to when it is sealed; *kind* is `ACCESS` or `REFRESH`."""
    return (key.tenant_id, key.api, key.scope, kind)


def _named(key: TokenKey) -> str:
    return f"token of {key.tenant_id!r} for {key.api!r}"
