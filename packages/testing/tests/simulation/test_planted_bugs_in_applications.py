"""Wrong processors and wrong adapters: each is found, and how soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

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
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.delivery import Complete, Delivery, Settlement
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.outbox import OutboxRow, OutgoingLine
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing.simulation import BrokenPromiseError, Simulation, explore
from api_exchange_testing.simulation.wiring import Ports


class Keep(ProcessorInterface):
    """Right: persists an order and forwards it."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        assert isinstance(message.payload, dict)
        context.persist_entity(
            external_id=str(message.payload["id"]),
            canonical_type="order",
            source="shop",
            data=message.payload,
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("kept"))
        return result


class Pass(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("passed"))
        return result


def shop(keep: Callable[[], ProcessorInterface] = Keep) -> Exchange:
    exchange = Exchange("shop", tenants=["a", "b"])
    exchange.queue("keep", "orders", keep)
    exchange.queue("pass", "kept", Pass)
    return exchange


def two_orders(simulation: Simulation) -> None:
    for tenant in ("a", "b"):
        for number in (1, 2):
            simulation.send("orders", {"id": f"o-{number}"}, tenant=tenant)


def all_are_passed_on(simulation: Simulation) -> str | None:
    passed = simulation.sent("passed")
    return f"orders that were never passed on: {4 - len(passed)}" if len(passed) < 4 else None


def found(error: BrokenPromiseError) -> int:
    """In which of the schedules."""
    (note,) = error.__notes__
    return int(note.partition("the ")[2].partition(".")[0])


@pytest.mark.parametrize("one_store", [False, True])
@pytest.mark.parametrize("instances", [1, 3])
def test_what_is_right_survives(one_store: bool, instances: int) -> None:
    steps = explore(shop, two_orders, schedules=40, one_store=one_store, instances=instances)
    assert steps > 1_000


def test_a_seed_tells_the_same_story_again() -> None:
    def story(seed: int) -> list[str]:
        simulation = Simulation(shop(), seed=seed)
        two_orders(simulation)
        simulation.run()
        return [str(step) for step in simulation.story]

    assert story(3) == story(3)
    assert story(3) != story(4)


def test_a_plan_tells_the_story_of_its_seed() -> None:
    seeded = Simulation(shop(), seed=5)
    two_orders(seeded)
    seeded.run()
    planned = Simulation(shop(), plan=seeded.plan)
    two_orders(planned)
    planned.run()
    assert [str(step) for step in planned.story] == [str(step) for step in seeded.story]
    assert planned.plan.events


# Wrong adapters


class PublishesBeforeCommit(UnitOfWorkFactory):
    """Sends an output as soon as it is told of it."""

    def __init__(self, ports: Ports) -> None:
        self._units = ports.units
        self._publisher = ports.publisher

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self._units.begin(tenant_id) as unit:
            yield _Wrapped(unit, outbox=_EagerOutbox(unit.outbox, self._publisher))


class CommitsEntitiesEarly(UnitOfWorkFactory):
    """Writes entities in a transaction of their own: a crash after it, and they are there, and their outputs never."""

    def __init__(self, ports: Ports) -> None:
        self._units = ports.units

    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self._units.begin(tenant_id) as unit:
            yield _Wrapped(unit, entities=_HastyEntities(self._units, tenant_id))


class _Wrapped:
    def __init__(self, unit: UnitOfWork, **parts: object) -> None:
        self._unit = unit
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)


class _EagerOutbox:
    def __init__(self, outbox: Any, publisher: MessagePublisher) -> None:
        self._outbox = outbox
        self._publisher = publisher

    def add(self, effects: Sequence[Outgoing | OutgoingLine], *, now: datetime) -> Sequence[OutboxRow]:
        self._publisher.publish([one for one in effects if isinstance(one, Outgoing)])
        return ()


@dataclass
class _HastyEntities:
    units: UnitOfWorkFactory
    tenant_id: TenantId

    def heads(self, ids: Any, **how: Any) -> object:
        with self.units.begin(self.tenant_id) as unit:
            return unit.entities.heads(ids)

    def write(self, heads: Any, versions: Any) -> None:
        with self.units.begin(self.tenant_id) as unit:
            unit.entities.write(heads, versions)
            unit.commit()


@dataclass(frozen=True)
class AcknowledgesOnReceipt(MessageConsumer):
    """Takes a message off its queue before it is processed: at most once."""

    consumer: MessageConsumer

    def receive(self, queue: Any, **how: Any) -> Sequence[Delivery]:
        deliveries = self.consumer.receive(queue, **how)
        self.consumer.settle([Settlement(one, Complete()) for one in deliveries])
        return deliveries

    def settle(self, settlements: Sequence[Settlement]) -> None:
        pass

    def extend(self, deliveries: Sequence[Delivery], **how: Any) -> Sequence[Delivery]:
        return ()


WRONG_ADAPTERS: dict[str, tuple[Callable[[Ports], Ports], str]] = {
    "publishes before the commit": (
        lambda ports: replace(ports, units=PublishesBeforeCommit(ports)),
        "an output without its cause",
    ),
    "commits entities early": (
        lambda ports: replace(ports, units=CommitsEntitiesEarly(ports)),
        "effects twice",
    ),
    "acknowledges on receipt": (
        lambda ports: replace(ports, consumer=AcknowledgesOnReceipt(ports.consumer)),
        "a message lost",
    ),
}


@pytest.mark.parametrize("name", WRONG_ADAPTERS)
def test_a_wrong_adapter_is_found(name: str) -> None:
    wrong, said = WRONG_ADAPTERS[name]

    def checked(simulation: Simulation) -> None:
        two_orders(simulation)
        simulation.invariant(all_are_passed_on)

    with pytest.raises(BrokenPromiseError, match=said) as caught:
        explore(shop, checked, schedules=300, ports=wrong)
    assert len(caught.value.plan.events) <= 4


# Wrong processors


class CountsInMemory(ProcessorInterface):
    """Numbers the orders by a counter of its own, which every instance has one of, and each crash sets back."""

    def __init__(self) -> None:
        self.count = 0

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.count += 1
        result = ProcessingResult.create_success()
        result.add_output_message({"number": self.count})
        result.add_output_handler(QueueOutputHandler("passed"))
        return result


def numbers_are_unique(simulation: Simulation) -> str | None:
    numbers = Counter(str(message.payload) for message in simulation.sent("passed"))
    twice = [number for number, times in numbers.items() if times > 1]
    return f"numbers given twice: {twice}" if twice else None


def test_a_counter_in_memory_is_found() -> None:
    def scenario(simulation: Simulation) -> None:
        two_orders(simulation)
        simulation.invariant(numbers_are_unique)

    with pytest.raises(BrokenPromiseError, match="numbers given twice"):
        explore(lambda: shop(CountsInMemory), scenario, schedules=300)


class Bank:
    """An external system that counts what it is asked for."""

    def __init__(self) -> None:
        self.transfers: list[str] = []


@dataclass
class TransfersWithoutKey(ProcessorInterface):
    """Calls an external system that cannot know that it was called before."""

    bank: Bank

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.bank.transfers.append(message.id)
        return ProcessingResult.create_success()


def test_an_external_call_that_is_not_idempotent_is_found() -> None:
    bank = Bank()

    def exchange() -> Exchange:
        bank.transfers.clear()
        return shop(lambda: TransfersWithoutKey(bank))

    def scenario(simulation: Simulation) -> None:
        two_orders(simulation)
        simulation.invariant(
            lambda _: "money moved twice" if len(set(bank.transfers)) < len(bank.transfers) else None
        )

    with pytest.raises(BrokenPromiseError, match="money moved twice") as caught:
        explore(exchange, scenario, schedules=300)
    assert len(caught.value.plan.events) == 1


class WritesForTheFirstTenant(ProcessorInterface):
    """Remembers whom it worked for first, in place of asking for whom it works."""

    tenant: TenantId | None = None

    def __init__(self, services: list[EntityService]) -> None:
        self.services = services

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        if self.tenant is None:
            self.tenant = context.tenant_id
        with tenant_context(self.tenant):
            self.services[0].create_entity(
                external_id="total", canonical_type="sum", source="shop", data={"of": message.payload}
            )
        return ProcessingResult.create_success()


def test_a_tenant_from_the_wrong_place_is_found() -> None:
    services: list[EntityService] = []

    def keep_service(ports: Ports) -> Ports:
        services[:] = [EntityService(ports.units, ContentHasher(), ports.clock)]
        return ports

    with pytest.raises(BrokenPromiseError, match="a tenant crossed"):
        explore(
            lambda: shop(lambda: WritesForTheFirstTenant(services)),
            two_orders,
            schedules=50,
            ports=keep_service,
        )


class Forwards(ProcessorInterface):
    """Sends every message to itself."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders"))
        return result


def test_an_exchange_that_never_comes_to_rest_is_told_of() -> None:
    simulation = Simulation(shop(Forwards))
    simulation.send("orders", {}, tenant="a")
    with pytest.raises(BrokenPromiseError, match="not at rest after 20,000 steps"):
        simulation.run()
