"""The container in memory, beside the one of a machine that it takes the place of in tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers
from pydantic import SecretStr

from api_exchange_core import Exchange, Message, ProcessingResult, ProcessorContext, ProcessorInterface
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.names import QueueName, TenantId
from api_exchange_core.ports.observer import Observer
from api_exchange_testing import (
    SQS,
    Harness,
    InMemoryContainer,
    RecordingObserver,
    VirtualClock,
    in_memory_container,
)

OF_A_MACHINE = {"engine", "settings", "page", "runner"}
"""What there is no use for in memory: the database's connections, and what serves and configures a process."""

Made = Callable[[Exchange], Any]


class Take(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(external_id="o-1", canonical_type="order", source="shop", data=message.payload)
        return ProcessingResult.create_success()


def shop() -> Exchange:
    exchange = Exchange("shop", tenants=["acme"])
    exchange.queue("take", "orders", Take)
    return exchange


def test_it_offers_every_provider_of_the_container_of_a_machine() -> None:
    there = set(LocalContainer.providers) - OF_A_MACHINE
    assert there <= set(InMemoryContainer.providers)


@pytest.mark.parametrize("part", ["use_cases", "operations"])
def test_every_port_of_the_use_cases_has_an_adapter_in_memory(part: str) -> None:
    container = getattr(in_memory_container(shop()), part)
    for name, provider in container.providers.items():
        if isinstance(provider, providers.Dependency):
            assert provider() is not None, name


def test_everything_it_offers_can_be_made() -> None:
    container: Any = in_memory_container(shop())
    for provider in (container.providers, container.use_cases.providers, container.operations.providers):
        assert None not in [made() for made in provider.values()]


def on_sqlite(tmp_path: Path) -> Made:
    settings = LocalSettings(
        database_url=SecretStr(f"sqlite:///{tmp_path}/exchange.db"), output_folder=tmp_path / "output"
    )
    return lambda exchange: prepared_container(exchange, settings, observer=RecordingObserver())


@pytest.mark.parametrize("where", ["memory", "sqlite"])
def test_it_swaps_for_the_real_one_in_a_line(where: str, tmp_path: Path) -> None:
    container = in_memory_container(shop()) if where == "memory" else on_sqlite(tmp_path)(shop())
    orders, acme = QueueName("orders"), TenantId("acme")
    container.use_cases.sender().send(orders, {"id": "o-1"}, tenant_id=acme)
    function = container.exchange().function("take")
    deliveries = container.queue().receive(orders, max_messages=10, visibility=timedelta(minutes=1))
    container.queue().settle(container.use_cases.handler().handle(function, deliveries))
    with container.units().begin(acme) as unit:
        assert unit.entities.count() == 1
    assert container.queue().depths() == {}
    statistics = container.operations.status().report(window=timedelta(hours=1)).statistics
    assert [(one.function, one.completed) for one in statistics.functions] == [("take", 1)]
    if where == "sqlite":
        container.engine().dispose()


def test_what_is_handed_in_is_what_is_used() -> None:
    clock, observer = VirtualClock(in_memory_container(shop()).clock().now()), Told()
    container = in_memory_container(shop(), clock=clock, observer=observer, profile=SQS, one_store=True)
    assert container.clock() is container.use_cases.clock() is container.operations.clock() is clock
    assert container.use_cases.observer() is observer
    assert container.queue().profile is SQS
    assert container.store().queue is container.queue()


def test_queue_and_store_are_two_systems_unless_it_is_said_otherwise() -> None:
    assert in_memory_container(shop()).store().queue is None


def test_harnesses_share_nothing() -> None:
    first = Harness(shop(), seed=1)
    first.send("orders", {})
    second = Harness(shop(), profile=SQS)
    assert first.queues is not second.queues
    assert first.queues.profile is not SQS
    assert second.run() == []
    assert len(first.run()) == 1
    assert (first.entity("order", "o-1") is None, second.entity("order", "o-1")) == (False, None)
    assert first.handled
    assert second.handled == []


class Told(RecordingObserver, Observer):
    """One that only its test knows."""
