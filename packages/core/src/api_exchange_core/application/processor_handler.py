"""Handling a batch of deliveries: the spine of the system.

Deliveries are sorted at the door, run, and flushed in one transaction a tenant. What cannot be flushed together is
flushed one by one; what failed is recorded in a second small transaction and ends as the decision table says. Every
delivery comes to a settlement, or is acknowledged already, or is somebody else's by now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from api_exchange_core.application.call import Call, Incoming, loggable
from api_exchange_core.application.call_runner import CallRunner
from api_exchange_core.application.failures import Failures, summary, summary_at_the_door
from api_exchange_core.application.flush import Flush, Flushed
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.application.reception import WAIT_FOR_STORE, Reception
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.context import ProcessorContext
from api_exchange_core.domain.delivery import Complete, Defer, Delivery, Settlement
from api_exchange_core.domain.entity import EntityHead
from api_exchange_core.domain.errors import ClaimLostError, LostRaceError, TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.intentions import Intentions
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.observer import Observer, Outcome
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

_RERUNS = 3
GIVEN_BACK = Defer(timedelta(0))


def never() -> bool:
    """The answer of somebody who is in no hurry to stop."""
    return False


@dataclass(frozen=True, slots=True)
class ProcessorHandler:
    """Handles the deliveries of a function's queue."""

    reception: Reception
    runner: CallRunner
    flush: Flush
    relay: OutboxRelay
    failures: Failures
    units: UnitOfWorkFactory
    hasher: ContentHasher
    clock: Clock
    observer: Observer

    def handle(
        self, function: Function, deliveries: Sequence[Delivery], *, stop: Callable[[], bool] = never
    ) -> list[Settlement]:
        """Process *deliveries*.

        Args:
            function: whose queue they are from.
            deliveries: a batch, of any tenants.
            stop: asked before each call of the processor; once true, what has not been started is given back
                untouched (a deadline is near, or the process is to end).

        Returns:
            What the trigger is to carry out. A delivery that is not among them is done.
        """
        received = self.reception.receive(function, deliveries)
        settlements = received.settlements
        for batch in received.by_tenant.values():
            settlements += self._handle_tenant(function, batch, stop)
        return settlements

    def _handle_tenant(
        self, function: Function, batch: Sequence[Incoming], stop: Callable[[], bool]
    ) -> list[Settlement]:
        ran = self.runner.run(
            function, batch, begin=lambda incoming: self._call(function, incoming), stop=stop
        )
        erased = self.reception.is_erased(function, batch[0].message.tenant_id)
        if erased is None:
            return self._given_back(function, batch, WAIT_FOR_STORE)
        if erased:
            return [self.reception.dropped(function, incoming) for incoming in batch]
        failed = [call for call in ran if call.problem is not None]  # before a commit makes more of them
        settlements = self._commit([call for call in ran if call.problem is None])
        settlements += self.failures.settle(failed)
        begun = {call.incoming.delivery.receipt for call in ran}
        left = [incoming for incoming in batch if incoming.delivery.receipt not in begun]
        return settlements + self._given_back(function, left, GIVEN_BACK)

    def _given_back(self, function: Function, left: Sequence[Incoming], defer: Defer) -> list[Settlement]:
        for incoming in left:
            self.observer.handled(summary_at_the_door(function, incoming, Outcome.GIVEN_BACK))
        return [Settlement(incoming.delivery, defer) for incoming in left]

    def _call(self, function: Function, incoming: Incoming) -> Call:
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
            tenant_config=incoming.tenant_config,
        )
        return Call(function, incoming, context)

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
                    left = [one.incoming for one in calls[place:]]
                    return settlements + self._given_back(call.function, left, WAIT_FOR_STORE)
            else:
                settlements += self._committed([call], flushed)
        return settlements

    def _committed(self, calls: Sequence[Call], flushed: Flushed) -> list[Settlement]:
        self._carry_out(flushed)
        self._tell(calls, flushed)
        return [Settlement(delivery, Complete()) for delivery in flushed.to_settle]

    def _uncommitted(self, call: Call, error: Exception, reruns: int) -> list[Settlement]:
        """The settlement of a message that could not be committed even alone."""
        if isinstance(error, ClaimLostError):
            self.observer.event("claim.lost", function=call.function.name, message_id=call.message.id)
            return []
        if isinstance(error, LostRaceError) and reruns > 0:
            return self._run_again(call, reruns - 1)
        call.fail(error)
        return self.failures.settle([call])

    def _run_again(self, stale: Call, reruns: int) -> list[Settlement]:
        """Call the processor anew: it has read what is no longer true."""
        (call,) = self.runner.run(
            stale.function,
            [replace(stale.incoming, message=stale.incoming.as_received)],
            begin=lambda incoming: self._call(stale.function, incoming),
            stop=never,
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
        for call in calls:
            message_id = call.message.id
            outcome = Outcome.DUPLICATE if message_id in flushed.duplicates else Outcome.COMPLETED
            versions = sum(one.outcome.wrote_version for one in flushed.persisted.get(message_id, ()))
            outputs = flushed.outputs.get(message_id, 0)
            self.observer.handled(summary(call, outcome, versions=versions, outputs=outputs))


def _is_outage(error: Exception) -> bool:
    """Whether the next commit would most likely fail as well."""
    return isinstance(error, TransientError) and not isinstance(error, LostRaceError | ClaimLostError)
