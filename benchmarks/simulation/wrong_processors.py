"""Processors that are wrong in one point each, and the invariants that a user would write for them."""

from __future__ import annotations

from collections import Counter

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    tenant_context,
)
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.domain.names import TenantId
from api_exchange_testing import Simulation
from benchmarks.simulation.workshop import TENANTS


def shop(take: ProcessorInterface | type[ProcessorInterface], *, exclusive: bool = False) -> Exchange:
    """One function under test."""
    exchange = Exchange("shop", tenants=TENANTS)
    exchange.queue("take", "orders", take, exclusive=exclusive)
    return exchange


def two_orders(simulation: Simulation) -> None:
    """Two orders of each tenant."""
    for tenant in TENANTS:
        for number in (1, 2):
            simulation.send("orders", {"id": f"o-{number}"}, tenant=tenant)


class Forwards(ProcessorInterface):
    """Right: what comes in goes on."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("forwarded"))
        return result


class CountsInMemory(ProcessorInterface):
    """Numbers orders by a counter of its own: each instance has one, and each crash sets it back."""

    def __init__(self) -> None:
        self.count = 0

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        self.count += 1
        result = ProcessingResult.create_success()
        result.add_output_message({"number": self.count})
        result.add_output_handler(QueueOutputHandler("numbered"))
        return result


def numbers_are_unique(simulation: Simulation) -> str | None:
    """No number is given to two orders."""
    numbers = Counter(str(message.payload) for message in simulation.sent("numbered"))
    twice = [number for number, times in numbers.items() if times > 1]
    return f"numbers given twice: {twice}" if twice else None


class CollectsBeforeItSends(ProcessorInterface):
    """Keeps orders in memory until there are two, and acknowledges the first at once."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        self.kept.append(message.id)
        result = ProcessingResult.create_success()
        if len(self.kept) == 2:
            for id_ in self.kept:
                result.add_output_message({"of": id_})
            self.kept.clear()
            result.add_output_handler(QueueOutputHandler("collected"))
        return result


def all_are_collected(simulation: Simulation) -> str | None:
    """Each order comes out again."""
    missing = 4 - len(simulation.sent("collected"))
    return f"{missing} orders are gone" if missing > 0 else None


class Bank:
    """An external system: a transfer without a key is another transfer."""

    def __init__(self) -> None:
        self.transfers: list[str] = []

    def nothing_moved_twice(self, _: Simulation) -> str | None:
        """Each order is paid once."""
        return "money moved twice" if len(set(self.transfers)) < len(self.transfers) else None


class TransfersWithoutKey(ProcessorInterface):
    """Calls an external system that cannot know that it was called before."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:  # noqa: ARG002 - as declared
        self.bank.transfers.append(message.id)
        return ProcessingResult.create_success()


class WritesForTheFirstTenant(ProcessorInterface):
    """Remembers whom it worked for first, in place of asking for whom it works."""

    def __init__(self, services: list[EntityService]) -> None:
        self.services = services
        self.tenant: TenantId | None = None

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        if self.tenant is None:
            self.tenant = context.tenant_id
        with tenant_context(self.tenant):
            self.services[-1].create_entity(
                external_id="total", canonical_type="sum", source="shop", data={"of": message.id}
            )
        return ProcessingResult.create_success()
