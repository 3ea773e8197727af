"""Receiving: which deliveries hold a message that may be processed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from api_exchange_core.application.call import Incoming, loggable
from api_exchange_core.application.failures import Failures, summary_at_the_door
from api_exchange_core.application.tenant_gate import TenantGate
from api_exchange_core.domain.claim_check import without_content
from api_exchange_core.domain.delivery import Complete, Defer, Delivery, Settlement
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.errors import (
    AbsentContentError,
    DeferError,
    ErasedTenantError,
    PermanentError,
    UnknownEnvelopeError,
)
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_core.ports.observer import Observer, Outcome
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

_WAIT_FOR_NEWER_READER = timedelta(minutes=5)
_RUNS_ALONE = 3
"""How often a message is still run that has used up its attempts without any having come to an end."""

WAIT_FOR_STORE = Defer(timedelta(seconds=5))
"""How a delivery ends that could not be looked at, or not be committed, since the store is out of reach."""


@dataclass(slots=True)
class Received:
    """A batch, sorted: what is to be processed, by tenant, and what has been settled at the door."""

    by_tenant: dict[TenantId, list[Incoming]] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reception:
    """Decodes deliveries and turns away what is unreadable, of no known tenant, or done before."""

    gate: TenantGate
    units: UnitOfWorkFactory
    failures: Failures
    observer: Observer

    def receive(self, function: Function, deliveries: Sequence[Delivery]) -> Received:
        """Sort *deliveries* of one function's queue."""
        received = Received()
        for delivery in deliveries:
            settlement = self._read(function, delivery, received.by_tenant)
            if settlement is not None:
                received.settlements.append(settlement)
        for tenant_id in list(received.by_tenant):
            self._turn_away_duplicates(function, tenant_id, received)
        return received

    def _read(
        self, function: Function, delivery: Delivery, by_tenant: dict[TenantId, list[Incoming]]
    ) -> Settlement | None:
        try:
            message = decode(delivery.body)
        except UnknownEnvelopeError as error:
            self.observer.event(
                "message.too_new", function=function.name, queue=delivery.queue, reason=str(error)
            )
            return Settlement(delivery, Defer(_WAIT_FOR_NEWER_READER))
        except AbsentContentError as error:
            return self._without_content(function, delivery, error)
        except PermanentError as error:
            return self.failures.unreadable(function, delivery, error)
        incoming = Incoming(delivery, message)
        try:
            tenant = self.gate.admit(message.tenant_id)
        except ErasedTenantError:
            return self.dropped(function, incoming)
        except (PermanentError, DeferError) as error:
            return self.failures.not_admitted(function, incoming, error)
        except Exception as error:  # noqa: BLE001 - the last frame we own: unknown means try again
            self._tell(function, message.tenant_id, error)
            return Settlement(delivery, WAIT_FOR_STORE)
        if tenant.config:
            incoming = replace(incoming, tenant_config=tenant.config)
        by_tenant.setdefault(message.tenant_id, []).append(incoming)
        return None

    def _without_content(
        self, function: Function, delivery: Delivery, error: AbsentContentError
    ) -> Settlement:
        """The settlement of a message whose content is gone: with its tenant, perhaps, whose messages are dropped."""
        try:
            incoming = Incoming(delivery, decode(without_content(delivery.body)))
        except PermanentError:
            return self.failures.unreadable(function, delivery, error)
        erased = self.is_erased(function, incoming.message.tenant_id)
        if erased is None:
            return Settlement(delivery, WAIT_FOR_STORE)
        return (
            self.dropped(function, incoming)
            if erased
            else self.failures.unreadable(function, delivery, error)
        )

    def dropped(self, function: Function, incoming: Incoming) -> Settlement:
        """The settlement of a message of an erased tenant, of which nothing is kept."""
        self.observer.handled(summary_at_the_door(function, incoming, Outcome.DROPPED))
        return Settlement(incoming.delivery, Complete())

    def is_erased(self, function: Function, tenant_id: TenantId) -> bool | None:
        """Whether the tenant was erased since its messages came in; None if nobody can tell."""
        try:
            return self.gate.is_erased(tenant_id)
        except Exception as error:  # noqa: BLE001 - the last frame we own: unknown means try again
            self._tell(function, tenant_id, error)
            return None

    def _turn_away_duplicates(self, function: Function, tenant_id: TenantId, received: Received) -> None:
        batch = received.by_tenant.pop(tenant_id)
        try:
            done = self._completed(function, tenant_id, batch)
        except Exception as error:  # noqa: BLE001 - the last frame we own: unknown means try again
            self._tell(function, tenant_id, error)
            received.settlements += [Settlement(one.delivery, WAIT_FOR_STORE) for one in batch]
            return
        fresh: dict[MessageId, Incoming] = {}
        for incoming in batch:
            if incoming.message.id in done:
                self.observer.handled(summary_at_the_door(function, incoming, Outcome.DUPLICATE))
                received.settlements.append(Settlement(incoming.delivery, Complete()))
            elif incoming.message.id in fresh:
                # A second copy waits until the first has come to an end, and is judged by that.
                received.settlements.append(Settlement(incoming.delivery, Defer(timedelta(0))))
            elif (endless := _endless(function, incoming)) is not None:
                received.settlements.append(self.failures.not_admitted(function, incoming, endless))
            else:
                fresh[incoming.message.id] = incoming
        if fresh:
            received.by_tenant[tenant_id] = list(fresh.values())

    def _completed(
        self, function: Function, tenant_id: TenantId, batch: Sequence[Incoming]
    ) -> frozenset[MessageId]:
        with self.units.begin(tenant_id) as unit:
            return unit.journal.completed(function.name, {incoming.message.id for incoming in batch})

    def _tell(self, function: Function, tenant_id: TenantId, error: Exception) -> None:
        self.observer.event(
            "store.unreachable", function=function.name, tenant_id=tenant_id, **loggable(error)
        )


def _endless(function: Function, incoming: Incoming) -> PermanentError | None:
    """Why no attempt is made any more: they ended their process, or outlasted their visibility, again and again.

    An attempt that fails is counted and ends in a dead letter by the function's policy. Here are those that never
    came to a failure. Where no run is to follow one that came to no end, nothing is counted: its claim
    knows which message that was, and the others were only in hand with it.
    """
    if not function.may_run_again or incoming.attempt <= function.retry.max_attempts + _RUNS_ALONE:
        return None
    return PermanentError(
        f"handed out {incoming.attempt} times, and no run came to an end: it ends its process, or takes longer "
        "than a message may be in hand"
    )
