"""Handling a batch of deliveries: the spine of the system.

Deliveries are sorted at the door, run, and flushed in one transaction a tenant. What cannot be flushed together is
flushed one by one; what failed is recorded in a second small transaction and ends as the decision table says. Every
delivery comes to a settlement, or is acknowledged already, or is somebody else's by now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, repeat

from api_exchange_core.application.call import Call, Incoming, loggable
from api_exchange_core.application.call_runner import CallRunner
from api_exchange_core.application.checkpoint_desk import MessageDesk
from api_exchange_core.application.claims import UNKEPT, Claims, Keeper
from api_exchange_core.application.failures import Failures, summary, summary_at_the_door, tell_claim_lost
from api_exchange_core.application.flush import Flush, Flushed
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.application.reception import WAIT_FOR_STORE, Reception
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.context import ProcessorContext
from api_exchange_core.domain.deadline import NO_DEADLINE, Deadline
from api_exchange_core.domain.delivery import Complete, Defer, Delivery, Settlement
from api_exchange_core.domain.entity import EntityHead
from api_exchange_core.domain.errors import (
    ClaimLostError,
    ErasedTenantError,
    LostRaceError,
    PermanentError,
    TransientError,
)
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.exclusive import Exclusive
from api_exchange_core.domain.intentions import Intentions
from api_exchange_core.domain.names import EntityId, FunctionName, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer, Outcome
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

_RERUNS = 3
GIVEN_BACK = Defer(timedelta(0))


def never() -> bool:
    """The answer of somebody who is in no hurry to stop."""
    return False


@dataclass(frozen=True, slots=True)
class _Terms:
    """On what terms a batch is handed over; see `ProcessorHandler.handle`."""

    stop: Callable[[], bool]
    keeper: Keeper
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class ProcessorHandler:
    """Handles the deliveries of a function's queue."""

    reception: Reception
    claims: Claims
    runner: CallRunner
    flush: Flush
    relay: OutboxRelay
    failures: Failures
    units: UnitOfWorkFactory
    hasher: ContentHasher
    clock: Clock
    observer: Observer
    _ran_last: dict[FunctionName, TenantId] = field(default_factory=dict, init=False, repr=False)

    def handle(
        self,
        function: Function,
        deliveries: Sequence[Delivery],
        *,
        stop: Callable[[], bool] = never,
        keeper: Keeper = UNKEPT,
        deadline: Deadline = NO_DEADLINE,
    ) -> list[Settlement]:
        """Process *deliveries*.

        Args:
            function: whose queue they are from.
            deliveries: a batch, of any tenants.
            stop: asked before each call of the processor; once true, what has not been started is given back
                untouched (a deadline is near, or the process is to end).
            keeper: renews claims while processors run, and knows which deliveries were lost meanwhile.
            deadline: when each call must have come to its end; processors read it from their context.

        Returns:
            What the trigger is to carry out. A delivery that is not among them is done.
        """
        terms = _Terms(stop, keeper, deadline)
        with self.observer.batch(function.name, queue=function.input_queue, count=len(deliveries)):
            received = self.reception.receive(function, deliveries)
            settlements = received.settlements
            for tenant_id in self._in_turn(function, received.by_tenant):
                batch = received.by_tenant[tenant_id]
                if function.exclusive is None:
                    settlements += self._work(function, batch, terms)
                else:
                    settlements += self._work_claimed(function, function.exclusive, batch, terms)
        return settlements

    def _in_turn(self, function: Function, tenant_ids: Iterable[TenantId]) -> Sequence[TenantId]:
        """Begin after the tenant that ran last: it may have been slow, and the others were given back for it."""
        last = self._ran_last.get(function.name, "")
        return sorted(tenant_ids, key=lambda tenant_id: (tenant_id <= last, tenant_id))

    def _work_claimed(
        self, function: Function, exclusive: Exclusive, batch: Sequence[Incoming], terms: _Terms
    ) -> list[Settlement]:
        """Claim, run and commit.

        Where a run that came to no end is not followed by another, only as many messages are claimed as run side by
        side: what a process that dies has claimed counts as run.
        """
        size = len(batch) if exclusive.may_run_again else function.concurrency
        settlements: list[Settlement] = []
        for start in range(0, len(batch), size):
            if start and terms.stop():
                return settlements + self._given_back(function, batch[start:], GIVEN_BACK)
            taken = self.claims.take(function, exclusive, batch[start : start + size])
            settlements += taken.settlements
            if taken.incoming:
                with self.claims.kept(function, exclusive, taken.incoming, terms.keeper):
                    settlements += self._work(function, taken.incoming, terms)
        return settlements

    def _work(self, function: Function, batch: Sequence[Incoming], terms: _Terms) -> list[Settlement]:
        begun = self.runner.run(
            function,
            batch,
            begin=lambda incoming: self._call(function, incoming, terms.deadline),
            stop=terms.stop,
        )
        if begun:
            self._ran_last[function.name] = batch[0].message.tenant_id
        receipts = {call.incoming.delivery.receipt for call in begun}
        left = [incoming for incoming in batch if incoming.delivery.receipt not in receipts]
        erased = self.reception.is_erased(function, batch[0].message.tenant_id)
        if erased is None:
            return self._left_uncommitted(begun) + self._given_back(function, left, WAIT_FOR_STORE)
        if erased:
            return self._dropped(function, batch, begun)
        ran = [call for call in begun if self._is_ours(call, terms.keeper)]
        failed = [call for call in ran if call.problem is not None]  # before a commit makes more of them
        settlements = self._commit([call for call in ran if call.problem is None])
        settlements += self.failures.settle(failed)
        return settlements + self._given_back(function, left, GIVEN_BACK)

    def _dropped(
        self, function: Function, batch: Sequence[Incoming], begun: Sequence[Call]
    ) -> list[Settlement]:
        self._abandon(begun, ErasedTenantError.__name__)
        return [self.reception.dropped(function, incoming) for incoming in batch]

    def _is_ours(self, call: Call, keeper: Keeper) -> bool:
        """Whether *call* may still be committed. Where there is a claim, its fence decides that at the commit."""
        if call.incoming.fence or not keeper.has_lost(call.incoming.delivery):
            return True
        tell_claim_lost(self.observer, call)
        return False

    def _given_back(self, function: Function, left: Sequence[Incoming], defer: Defer) -> list[Settlement]:
        claimed = [incoming for incoming in left if incoming.fence]
        if claimed:
            self.claims.release(function, claimed)
        for incoming in left:
            self.observer.handled(summary_at_the_door(function, incoming, Outcome.GIVEN_BACK))
        return [Settlement(incoming.delivery, defer) for incoming in left]

    def _call(self, function: Function, incoming: Incoming, deadline: Deadline) -> Call:
        message = incoming.message
        now = self.clock.now()
        intentions = Intentions(
            tenant_id=message.tenant_id,
            hasher=self.hasher,
            head_of=lambda entity_id: self._head(message.tenant_id, entity_id),
            now=now,
        )
        context = ProcessorContext(
            tenant_id=message.tenant_id,
            function=function.name,
            correlation_id=message.correlation_id,
            attempt=incoming.attempt,
            now=now,
            intentions=intentions,
            deadline=deadline,
            tenant_config=incoming.tenant_config,
            desk=MessageDesk(self.units, self.clock, function, message),
        )
        trace = self.observer.trace(
            message, function=function.name, queue=incoming.delivery.queue, attempt=incoming.attempt
        )
        return Call(function, incoming, context, trace=trace)

    def _head(self, tenant_id: TenantId, entity_id: EntityId) -> EntityHead | None:
        with self.units.begin(tenant_id) as unit:
            return unit.entities.heads([entity_id]).get(entity_id)

    def _commit(self, calls: Sequence[Call], *, reruns: int = _RERUNS) -> list[Settlement]:
        if not calls:
            return []
        try:
            flushed = self.flush.commit(calls)
        except Exception as error:  # noqa: BLE001 - the last frame we own: whatever it is, each message is settled
            if len(calls) == 1:
                return self._uncommitted(calls[0], error, reruns)
            return self._commit_each(calls)
        return self._committed(calls, flushed)

    def _commit_each(self, calls: Sequence[Call]) -> list[Settlement]:
        """Commit *calls* one by one, so that what one of them has wrong stops no other.

        A store that is out of reach is waited for once and not once a call, or a batch would outlast its claims:
        what is left then is given back, without an attempt being spent.
        """
        settlements: list[Settlement] = []
        for place, call in enumerate(calls, start=1):
            try:
                flushed = self.flush.commit([call])
            except Exception as error:  # noqa: BLE001 - the last frame we own: whatever it is, each message is settled
                settlements += self._uncommitted(call, error, _RERUNS)
                if _is_outage(error):
                    return settlements + self._left_uncommitted(calls[place:])
            else:
                settlements += self._committed([call], flushed)
        return settlements

    def _committed(self, calls: Sequence[Call], flushed: Flushed) -> list[Settlement]:
        self._carry_out(flushed)
        self._tell(calls, flushed)
        return [Settlement(delivery, Complete()) for delivery in flushed.to_settle]

    def _left_uncommitted(self, calls: Sequence[Call]) -> list[Settlement]:
        may_run_again: list[Call] = []
        for call in calls:
            # A run that failed has come to an end, and may be followed by another like after any failure.
            if call.problem is None and not call.function.may_run_again:
                self._leave_to_policy(call)
            else:
                may_run_again.append(call)
        if not may_run_again:
            return []
        self._abandon(may_run_again, TransientError.__name__)
        return self._given_back(
            may_run_again[0].function, [call.incoming for call in may_run_again], WAIT_FOR_STORE
        )

    def _abandon(self, calls: Sequence[Call], reason: str) -> None:
        for call in calls:
            self.observer.abandoned(call.trace, reason)

    def _uncommitted(self, call: Call, error: Exception, reruns: int) -> list[Settlement]:
        """The settlement of a message that could not be committed even alone."""
        if isinstance(error, ClaimLostError):
            tell_claim_lost(self.observer, call)
            return []
        if not call.function.may_run_again and not isinstance(error, PermanentError):
            return self._leave_to_policy(call)
        if isinstance(error, LostRaceError) and reruns > 0:
            return self._run_again(call, reruns - 1)
        call.fail(error)
        return self.failures.settle([call])

    def _leave_to_policy(self, call: Call) -> list[Settlement]:
        """Settle nothing: the processor came to an end that could not be stored, and is not to run again by itself."""
        self.observer.abandoned(call.trace, "ClaimLeft")
        self.observer.event("claim.left", function=call.function.name, message_id=call.message.id)
        return []

    def _run_again(self, stale: Call, reruns: int) -> list[Settlement]:
        """Call the processor anew: it has read what is no longer true."""
        self.observer.abandoned(stale.trace, LostRaceError.__name__)
        (call,) = self.runner.run(
            stale.function,
            [stale.incoming.anew],
            begin=lambda incoming: self._call(stale.function, incoming, stale.context.deadline),
            stop=_after_the_first(),
        )
        if call.problem is not None:
            return self.failures.settle([call])
        return self._commit([call], reruns=reruns)

    def _carry_out(self, flushed: Flushed) -> None:
        try:
            self.relay.carry_out(flushed.to_carry_out)
        except Exception as error:  # noqa: BLE001 - it is committed: the relay sends it once the transport is back
            self.observer.event("outbox.left_to_relay", count=len(flushed.to_carry_out), **loggable(error))

    def _tell(self, calls: Sequence[Call], flushed: Flushed) -> None:
        share = flushed.took / len(calls)
        for call in calls:
            message_id = call.message.id
            outcome = Outcome.DUPLICATE if message_id in flushed.duplicates else Outcome.COMPLETED
            versions = sum(one.outcome.wrote_version for one in flushed.persisted.get(message_id, ()))
            outputs = flushed.outputs.get(message_id, 0)
            self.observer.handled(summary(call, outcome, versions=versions, outputs=outputs, commit=share))


def _after_the_first() -> Callable[[], bool]:
    """Lets one call begin and no quick retry of it: whoever is in a hurry has waited for this message once already."""
    answers = chain([False], repeat(True))
    return lambda: next(answers)


def _is_outage(error: Exception) -> bool:
    """Whether the next commit would most likely fail as well."""
    return isinstance(error, TransientError) and not isinstance(error, LostRaceError | ClaimLostError)
