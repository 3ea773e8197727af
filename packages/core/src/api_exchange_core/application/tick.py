"""Turning a tick of a schedule into one message a tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.identity import derived_message_id
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.trace_context import TraceContext
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.tenant_directory import TenantDirectory

TICK_TYPE = "api-exchange.tick"


@dataclass(frozen=True, slots=True)
class FanOutTick:
    """Puts one message for each enabled tenant into a timer function's own queue.

    The id follows from function, tenant and scheduled time, so a tick that fires twice is one message to the journal.
    """

    exchange: str
    tenants: TenantDirectory
    publisher: MessagePublisher
    clock: Clock
    observer: Observer

    def fan_out(self, function: Function, scheduled_at: datetime) -> Sequence[TenantId]:
        """Send the tick of *function* that was scheduled for *scheduled_at* (aware; the instant counts).

        Returns:
            The tenants that were sent one.

        Raises:
            TransientError: some may not have been sent; fanning the tick out again is safe.
        """
        moment = scheduled_at.astimezone(UTC)
        tenants = [tenant.id for tenant in self.tenants.all() if tenant.enabled]
        with self.observer.sending(function.input_queue, count=len(tenants)) as trace:
            self.publisher.publish([self._tick(function, tenant_id, moment, trace) for tenant_id in tenants])
        return tenants

    def _tick(
        self, function: Function, tenant_id: TenantId, scheduled_at: datetime, trace: TraceContext | None
    ) -> Outgoing:
        message_id = derived_message_id(self.exchange, function.name, tenant_id, scheduled_at.isoformat())
        message = Message(
            id=message_id,
            tenant_id=tenant_id,
            source=f"/{self.exchange}/{function.name}",
            type=TICK_TYPE,
            payload={"scheduled_at": scheduled_at.isoformat()},
            time=self.clock.now(),
            correlation_id=message_id,
            trace=trace,
        )
        return Outgoing(
            queue=function.input_queue, tenant_id=tenant_id, message_id=message_id, body=encode(message)
        )
