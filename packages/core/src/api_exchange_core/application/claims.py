"""Claims: messages of exclusive functions are taken before they run, and what is in hand is kept while it runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from typing_extensions import override

from api_exchange_core.application.call import Incoming, loggable
from api_exchange_core.application.failures import Failures, summary_at_the_door
from api_exchange_core.application.reception import WAIT_FOR_STORE
from api_exchange_core.domain.delivery import Complete, Defer, Delivery, Disposition, Settlement
from api_exchange_core.domain.errors import LostRaceError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.exclusive import Exclusive
from api_exchange_core.domain.failure import SHORTEST_DEFER, Problem
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.journal import Claim, JournalEntry, ProcessingState, Standing
from api_exchange_core.ports.observer import Observer, Outcome
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

_TRIES = 5
_LOOK_AGAIN_AT_HELD = timedelta(minutes=1)


class Keeper(Protocol):
    """Keeps a batch of deliveries from others while its processors run; made for the batch by whoever received it."""

    @abstractmethod
    def keeping(self, renew: Callable[[], None], *, every: timedelta) -> AbstractContextManager[None]:
        """Within the block, call *renew* again and again, in another thread, for as long as the keeper sees fit."""

    @abstractmethod
    def has_lost(self, delivery: Delivery) -> bool:
        """Whether *delivery* was found to be somebody else's by now."""


class Unkept(Keeper):
    """Renews nothing: processors are done within the time that the platform gives them."""

    @override
    def keeping(self, renew: Callable[[], None], *, every: timedelta) -> AbstractContextManager[None]:
        return nullcontext()

    @override
    def has_lost(self, delivery: Delivery) -> bool:
        return False


UNKEPT = Unkept()


@dataclass(slots=True)
class Taken:
    """What came of trying to claim messages: those that are ours, with their fence, and how the others end."""

    incoming: list[Incoming] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Claims:
    """Takes, renews and gives back the claims of exclusive functions, each in a short transaction of its own."""

    units: UnitOfWorkFactory
    failures: Failures
    clock: Clock
    observer: Observer

    def take(self, function: Function, exclusive: Exclusive, batch: Sequence[Incoming]) -> Taken:
        """Claim the messages of *batch*, which is of one tenant."""
        tenant_id, now = batch[0].message.tenant_id, self.clock.now()
        entries = [_running(function, one, now, now + exclusive.lease) for one in batch]
        try:
            standings = self._claim(tenant_id, entries, exclusive)
        except Exception as error:  # noqa: BLE001 - the last frame we own: unknown means try again
            self._tell("claims.not_taken", function, tenant_id, error)
            return Taken(settlements=[Settlement(one.delivery, WAIT_FOR_STORE) for one in batch])
        taken = Taken()
        for incoming in batch:
            standing = standings.get(incoming.message.id)
            if standing is None:  # its row was removed while we looked: the tenant is being erased, say
                taken.settlements.append(Settlement(incoming.delivery, WAIT_FOR_STORE))
            elif standing.taken:
                taken.incoming.append(replace(incoming, fence=standing.fence))
            else:
                taken.settlements.append(self._turned_away(function, incoming, standing, now))
        return taken

    def kept(
        self, function: Function, exclusive: Exclusive, batch: Sequence[Incoming], keeper: Keeper
    ) -> AbstractContextManager[None]:
        """Around the processors: renew the claims of *batch* at a third of their lease."""
        tenant_id = batch[0].message.tenant_id
        claims = [Claim(function.name, one.message.id, one.fence) for one in batch]

        def renew() -> None:
            with self.units.begin(tenant_id) as unit:
                unit.journal.renew(claims, until=self.clock.now() + exclusive.lease)
                unit.commit()

        return keeper.keeping(renew, every=exclusive.lease / 3)

    def release(self, function: Function, batch: Sequence[Incoming]) -> None:
        """Give the claims of *batch* back, for messages that have not begun or can run again."""
        tenant_id, now = batch[0].message.tenant_id, self.clock.now()
        waiting = [
            replace(_running(function, one, now, None), state=ProcessingState.RETRYING) for one in batch
        ]
        try:
            with self.units.begin(tenant_id) as unit:
                unit.journal.fail(waiting)
                unit.commit()
        except Exception as error:  # noqa: BLE001 - the last frame we own: they come back when their leases run out
            self._tell("claims.not_released", function, tenant_id, error)

    def _claim(
        self, tenant_id: TenantId, entries: Sequence[JournalEntry], exclusive: Exclusive
    ) -> Mapping[MessageId, Standing]:
        for _ in range(_TRIES - 1):
            try:
                return self._claim_once(tenant_id, entries, exclusive)
            except LostRaceError:
                continue
        return self._claim_once(tenant_id, entries, exclusive)

    def _claim_once(
        self, tenant_id: TenantId, entries: Sequence[JournalEntry], exclusive: Exclusive
    ) -> Mapping[MessageId, Standing]:
        with self.units.begin(tenant_id) as unit:
            standings = unit.journal.claim(entries, on_lost=exclusive.on_lost)
            unit.commit()
        return standings

    def _turned_away(
        self, function: Function, incoming: Incoming, standing: Standing, now: datetime
    ) -> Settlement:
        match standing.state:
            case ProcessingState.GIVEN_UP:
                return self.failures.given_up(function, incoming)
            case ProcessingState.COMPLETED:
                return self._at_the_door(function, incoming, Outcome.DUPLICATE, Complete())
            case ProcessingState.HELD:
                reason = "its last run came to no end; an operator is to release it or to give it up"
                problem = Problem.named("Held", reason, function=function.name)
                return self._at_the_door(
                    function, incoming, Outcome.DEFERRED, Defer(_LOOK_AGAIN_AT_HELD), problem
                )
            case _:
                until = now if standing.leased_until is None else standing.leased_until
                problem = Problem.named(
                    "ClaimedElsewhere", "another run of it is under way", function=function.name
                )
                away = Defer(max(until - now, SHORTEST_DEFER))
                return self._at_the_door(function, incoming, Outcome.DEFERRED, away, problem)

    def _at_the_door(
        self,
        function: Function,
        incoming: Incoming,
        outcome: Outcome,
        disposition: Disposition,
        problem: Problem | None = None,
    ) -> Settlement:
        self.observer.handled(summary_at_the_door(function, incoming, outcome, problem))
        return Settlement(incoming.delivery, disposition)

    def _tell(self, event: str, function: Function, tenant_id: TenantId, error: Exception) -> None:
        self.observer.event(event, function=function.name, tenant_id=tenant_id, **loggable(error))


def _running(
    function: Function, incoming: Incoming, now: datetime, leased_until: datetime | None
) -> JournalEntry:
    message = incoming.message
    return JournalEntry(
        function=function.name,
        message_id=message.id,
        state=ProcessingState.RUNNING,
        attempts=incoming.attempt,
        correlation_id=message.correlation_id,
        causation_id=message.causation_id,
        entity_id=None if message.entity is None else message.entity.id,
        started_at=now,
        finished_at=now,
        fence=incoming.fence,
        leased_until=leased_until,
    )
