"""Functions on the database that they are deployed with: PostgreSQL, as a login that owns nothing, behind a pooler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    Schedule,
)
from api_exchange_core.domain.names import TenantId
from api_exchange_testing.events import event
from packages.aws.tests.deployment import Deployment
from packages.aws.tests.ministack.server import Ministack

TENANTS = (TenantId("customer-a"), TenantId("customer-b"))


class Fetch(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        for number in range(3):
            context.persist_entity(
                external_id=f"o-{number}", canonical_type="order", source="shop", data={"number": number}
            )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result


@pytest.fixture
def deployed(
    ministack: Ministack, production_urls: Mapping[str, str], pooled_url: str
) -> Iterator[Deployment]:
    exchange = Exchange("shop", tenants=TENANTS)
    exchange.timer("fetch-orders", Schedule.every(minutes=5), Fetch)
    deployment = Deployment.of(exchange, ministack, pooled_url, owner_url=production_urls["owner"])
    deployment.create_queues("fetch-orders", "orders-fetched")
    yield deployment
    deployment.container.engine().dispose()


def test_a_tick_becomes_entities_of_each_tenant_and_messages_about_them(deployed: Deployment) -> None:
    deployed.invoke(event("aws/rule"))
    deployed.poll("fetch-orders")
    deployed.invoke(event("aws/rule"))
    deployed.poll("fetch-orders")
    sent = deployed.messages("orders-fetched")
    assert len({message.id for message in sent}) == len(sent) == 6
    for tenant in TENANTS:
        with deployed.container.units().begin(tenant) as unit:
            assert unit.entities.count() == 3
    for chore in ("relay-outbox", "purge-expired", "sweep-erased"):
        deployed.invoke({"api-exchange": {"chore": chore}})
    assert [one.name for one in deployed.observer.events if one.name.endswith("error")] == []
