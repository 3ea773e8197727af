"""An exchange with one of everything, right in all of it, for simulations to run."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
    Schedule,
)
from api_exchange_core.domain.exclusive import Exclusive
from api_exchange_testing import Simulation

TENANTS = ("a", "b")
ORDERS = ("o-1", "o-2", "o-3")


class Collect(ProcessorInterface):
    """Source: two orders of one customer, in order, and one of another."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        result = ProcessingResult.create_success()
        for number in ORDERS:
            context.persist_entity(
                external_id=number, canonical_type="order", source="shop", data={"id": number}
            )
        result.add_output_handler(QueueOutputHandler("collected", ordering_key="customer-7"))
        return result


class Convert(ProcessorInterface):
    """Transform, ``async def``: waits for somebody else's API, and looks at what it persisted."""

    async def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        assert message.entity is not None
        reference = context.persist_entity(
            external_id=message.entity.external_id,
            canonical_type="canonical",
            source="workshop",
            data=message.payload,
        )
        assert reference.version >= 1
        await asyncio.sleep(1)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("converted", ordering_key="customer-7"))
        return result


class Route(ProcessorInterface):
    """Gateway."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("charges"))
        return result


class Charge(ProcessorInterface):
    """The step that runs once at a time for a message."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("charged"))
        return result


def workshop(
    *,
    collect: type[ProcessorInterface] = Collect,
    convert: type[ProcessorInterface] = Convert,
    route: type[ProcessorInterface] = Route,
    charge: type[ProcessorInterface] = Charge,
) -> Exchange:
    """The exchange, with any of its processors replaced."""
    exchange = Exchange("workshop", tenants=TENANTS)
    exchange.timer("collect", Schedule.every(minutes=5), collect)
    exchange.queue("convert", "collected", convert, concurrency=2, retry=RetryPolicy(quick_retries=2))
    exchange.queue("route", "converted", route, concurrency=3)
    exchange.queue("charge", "charges", charge, exclusive=Exclusive(lease=timedelta(seconds=40)))
    return exchange


def all_are_charged(simulation: Simulation) -> str | None:
    """Each order of each tenant comes to its end."""
    missing = len(TENANTS) * len(ORDERS) - len(simulation.sent("charged")) - len(simulation.dead_letters())
    return f"{missing} orders were never charged" if missing > 0 else None


def two_ticks(simulation: Simulation) -> None:
    """The same tick fires twice, a minute apart."""
    start = simulation.world.clock.now()
    simulation.tick("collect", start)
    simulation.later(timedelta(minutes=1), lambda: simulation.tick("collect", start))
    simulation.invariant(all_are_charged)
