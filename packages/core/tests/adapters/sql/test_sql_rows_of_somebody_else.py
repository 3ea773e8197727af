"""Rows of the queue table that somebody else put there, with no tenant or with another than their message's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dependency_injector import providers
from pydantic import SecretStr
from sqlalchemy import text

from api_exchange_core import Exchange, Message, ProcessingResult, ProcessorContext, ProcessorInterface
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.across_tenants import writing
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.containers.local import LocalContainer, LocalSettings, local_container
from api_exchange_core.domain.envelope import encode
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import VirtualClock

OWN, OTHER = TenantId("customer-a"), TenantId("customer-b")
QUEUE = QueueName("orders")
ID = MessageId("m")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VISIBILITY = timedelta(minutes=1)
ROUNDS = 20


class Take(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data={"id": 1})
        return ProcessingResult.create_success()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
def container(
    production_urls: Mapping[str, str], tmp_path: Path, clock: VirtualClock
) -> Iterator[LocalContainer]:
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    exchange = Exchange("shop", tenants=[OWN, OTHER])
    exchange.queue("take", QUEUE, Take)
    container = local_container(
        exchange, LocalSettings(database_url=SecretStr(production_urls["runtime"]), output_folder=tmp_path)
    )
    container.clock.override(providers.Object(clock))
    container.tenants().add(exchange.tenants, now=clock.now())
    yield container
    container.engine().dispose()


def put(container: LocalContainer, *, named: TenantId | None) -> None:
    """A message of the other tenant, whose row names *named*."""
    body = encode(
        Message(id=ID, tenant_id=OTHER, source="/elsewhere", payload={}, time=NOON, correlation_id="c")
    )
    container.queue().publish([Outgoing(queue=QUEUE, tenant_id=OTHER, message_id=ID, body=body)])
    with writing(container.engine()) as connection:
        connection.execute(text("UPDATE queue SET tenant_id = :named"), {"named": named})


def run(container: LocalContainer) -> None:
    """One round of a worker."""
    queue, handler = container.queue(), container.use_cases.handler()
    (function,) = container.exchange().functions
    deliveries = queue.receive(QUEUE, max_messages=10, visibility=VISIBILITY)
    queue.settle(handler.handle(function, deliveries))


def entities(container: LocalContainer, tenant_id: TenantId) -> int:
    with SqlUnitOfWorkFactory(container.engine(), queues_here=True).begin(tenant_id) as unit:
        return unit.entities.count()


def test_a_row_of_no_tenant_takes_effect_once_for_its_messages_tenant(container: LocalContainer) -> None:
    put(container, named=None)
    run(container)
    assert container.queue().depths() == {}
    assert (entities(container, OWN), entities(container, OTHER)) == (0, 1)


def test_a_row_that_names_another_tenant_than_its_message_has_no_effect_and_is_dead_lettered(
    container: LocalContainer, clock: VirtualClock
) -> None:
    put(container, named=OWN)
    for _ in range(ROUNDS):
        run(container)
        clock.advance(VISIBILITY)
    assert container.queue().depths() == {"orders-dlq": 1}
    assert (entities(container, OWN), entities(container, OTHER)) == (0, 0)
