"""Chores: the framework's own work, done again and again beside the application's functions.

A deployment carries all of them: threads on one machine, timer functions on a cloud. Each runs `DoChore`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from api_exchange_core.application.api_tokens import ApiTokens
from api_exchange_core.application.call import loggable
from api_exchange_core.application.erase import EraseTenant
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.application.processor_handler import never
from api_exchange_core.application.purge import PurgeExpired
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.token_store import TokenStore

_RELAY_EVERY = timedelta(seconds=2)
_TIDY_EVERY = timedelta(hours=1)
_ROUND = timedelta(seconds=2)
_COUNT_EVERY = timedelta(minutes=1)
_TOKENS_KEPT = timedelta(days=7)
_TOKENS_A_ROUND = 500


@dataclass(frozen=True, slots=True)
class Done:
    """What one round of a chore did.

    Args:
        count: things done: rows sent, rows removed.
        more: others wait, and another round is worth while at once.
    """

    count: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Work that has to be done every so often.

    Args:
        name: unique among the chores; names its thread, its timer function, and its lease.
        every: how often.
        round: does a bounded part of it: some seconds of work, some hundreds of rows.
        exclusive: of all instances of a deployment one does it at a time, and once in *every*. Others may be done by
            any number at once.
        at_most: no further round begins after that; a lease lasts twice as long.
    """

    name: str
    every: timedelta
    round: Callable[[], Done]
    exclusive: bool = False
    at_most: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DoChore:
    """Does chores: rounds as long as more waits, one instance at a time where that is asked for.

    Args:
        leases: keep instances apart.
        clock: tells the time.
        observer: hears what was done, and what failed.
        owner: the name of this instance, of which there is no other.
    """

    leases: Leases
    clock: Clock
    observer: Observer
    owner: str

    def do(self, chore: Chore, *, stop: Callable[[], bool] = never) -> Done:
        """Do *chore* now.

        Whatever goes wrong is told to the observer and not raised: the next time comes by itself.

        Args:
            chore: what to do.
            stop: asked before each further round.

        Returns:
            What was done; nothing if another instance does it, or did it lately. `more` says that it had to end before
            all was done.
        """
        tally = _Tally()
        try:
            (self._alone if chore.exclusive else self._rounds)(chore, self.clock.now(), stop, tally)
        except Exception as error:  # noqa: BLE001 - the last frame we own: a chore that fails once is tried again
            tally.more = False
            self.observer.event("chore.error", chore=chore.name, **loggable(error))
        if tally.count:
            self.observer.event("chore.done", chore=chore.name, count=tally.count, more=tally.more)
        return Done(tally.count, tally.more)

    def _alone(self, chore: Chore, began: datetime, stop: Callable[[], bool], tally: _Tally) -> None:
        until = began + 2 * chore.at_most
        if not self.leases.take(chore.name, owner=self.owner, now=began, until=until, every=chore.every):
            return
        finished = False
        try:
            self._rounds(chore, began, stop, tally)
            finished = not tally.more
        finally:
            self.leases.release(chore.name, owner=self.owner, ran_at=began if finished else None)

    def _rounds(self, chore: Chore, began: datetime, stop: Callable[[], bool], tally: _Tally) -> None:
        until = began + chore.at_most
        while True:
            done = chore.round()
            tally.count += done.count
            tally.more = done.more
            if not done.more or stop() or self.clock.now() >= until:
                return


@dataclass(slots=True)
class _Tally:
    """What the rounds until now did."""

    count: int = 0
    more: bool = False


def relay_outbox(relay: OutboxRelay) -> Chore:
    """Sends what processes that died have left in the outbox. Any number of relays share its rows."""

    def sweep() -> Done:
        count = relay.sweep()
        return Done(count, more=count == relay.batch)

    return Chore(name="relay-outbox", every=_RELAY_EVERY, round=sweep)


def purge_expired(purge: PurgeExpired) -> Chore:
    """Removes what the exchange's retention does not keep any longer."""

    def some() -> Done:
        purged = purge.run(within=_ROUND)
        return Done(sum(purged.removed.values()), more=purged.more)

    return Chore(name="purge-expired", every=_TIDY_EVERY, round=some, exclusive=True)


def sweep_erased(erase: EraseTenant) -> Chore:
    """Removes what came to be held of erased tenants after all, and finishes what was broken off."""

    def sweep() -> Done:
        return Done(erase.sweep())

    return Chore(name="sweep-erased", every=_TIDY_EVERY, round=sweep, exclusive=True)


def count_token_uses(tokens: ApiTokens) -> Chore:
    """Adds how often this instance has handed out tokens to what the store says of them."""

    def flush() -> Done:
        tokens.flush_uses()
        return Done(0)  # nothing that an operator would want a line for

    return Chore(name="count-token-uses", every=_COUNT_EVERY, round=flush)


def sweep_tokens(store: TokenStore) -> Chore:
    """Removes tokens that expired long ago, of APIs that nobody calls any more."""

    def some() -> Done:
        count = store.sweep(unused_for=_TOKENS_KEPT, limit=_TOKENS_A_ROUND)
        return Done(count, more=count == _TOKENS_A_ROUND)

    return Chore(name="sweep-tokens", every=_TIDY_EVERY, round=some, exclusive=True)
