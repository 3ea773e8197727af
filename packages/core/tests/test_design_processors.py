"""The three kinds of processor, word for word as the documentation shows them: source, transform, gateway."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dependency_injector import containers, providers

from api_exchange_core import (
    EntityReference,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryPolicy,
    Schedule,
    TenantFromApiKey,
    operation,
    tenant_context,
)
from api_exchange_testing import Harness

# The processors are shown to newcomers without annotations where Python needs none.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc,explicit-override"


# fmt: off
class FetchOrders(ProcessorInterface):                      # source: creates entities from an external API
    def __init__(self, api_client):
        self.api_client = api_client

    @operation("external_api.fetch")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        for order in self.api_client.get_data():
            entity_id = context.persist_entity(
                external_id=order["id"], canonical_type="customer_order", source="external_api", data=order)
            result.add_entity_created(entity_id)
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result


class ToCanonical(ProcessorInterface):                      # transform: a new version in canonical form
    def __init__(self, mapper):
        self.mapper = mapper

    @operation("transform.canonical")
    def process(self, message, context):
        canonical_data = self.mapper.to_canonical(message.payload)
        context.persist_entity(external_id=message.entity.external_id, canonical_type="canonical_order",
                               source="transformer", data=canonical_data)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-canonical"))
        return result


class RouteByType(ProcessorInterface):                      # gateway: routes on content
    @operation("route.by_type")
    def process(self, message, context):
        queue = {"express": "express-orders", "standard": "standard-orders"}.get(
            message.payload.get("order_type"), "unknown-orders")
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(queue))
        return result


# fmt: on
class Shop:
    """A vendor's API with four orders."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = [
            {"id": "1", "kind": "x"},
            {"id": "2", "kind": "s"},
            {"id": "3", "kind": "s"},
            {"id": "4", "kind": "?"},
        ]

    def get_data(self) -> list[dict[str, Any]]:
        return self.orders


class KindMapper:
    def to_canonical(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {
            "order_id": payload["id"],
            "order_type": {"x": "express", "s": "standard"}.get(payload["kind"]),
        }


class OrdersContainer(containers.DeclarativeContainer):
    shop = providers.Singleton(Shop)
    mapper = providers.Singleton(KindMapper)
    fetch_orders = providers.Factory(FetchOrders, api_client=shop)
    to_canonical = providers.Factory(ToCanonical, mapper=mapper)


def declared(parts: OrdersContainer) -> Exchange:
    exchange = Exchange("orders", tenants=["customer-a", "customer-b"])
    exchange.timer("fetch-orders", Schedule.every(minutes=5), parts.fetch_orders)
    exchange.queue("to-canonical", "orders-fetched", parts.to_canonical, retry=RetryPolicy(max_attempts=5))
    exchange.queue("route-orders", "orders-canonical", RouteByType)
    exchange.http("intake", "/orders", parts.to_canonical, methods=["POST"], tenant=TenantFromApiKey())
    return exchange


def test_a_tick_takes_every_order_of_every_tenant_to_the_queue_of_its_type() -> None:
    harness = Harness(declared(OrdersContainer()))
    harness.tick("fetch-orders")
    harness.run()
    assert len(harness.queue("express-orders")) == 2
    assert len(harness.queue("standard-orders")) == 4
    assert len(harness.queue("unknown-orders")) == 2
    assert harness.dead_letters() == []


def test_what_arrives_names_tenant_entity_version_and_the_request_it_belongs_to() -> None:
    harness = Harness(declared(OrdersContainer()))
    harness.tick("fetch-orders")
    harness.run()
    for message in harness.queue("express-orders"):
        assert isinstance(message.entity, EntityReference)
        assert (message.entity.external_id, message.entity.canonical_type, message.entity.version) == (
            "1",
            "canonical_order",
            1,
        )
        assert message.entity.tenant_id == message.tenant_id
        assert message.payload == {"order_id": "1", "order_type": "express"}
        assert message.causation_id not in (None, message.correlation_id, message.id)
    assert {message.tenant_id for message in harness.queue("express-orders")} == {"customer-a", "customer-b"}
    assert len({message.correlation_id for message in harness.queue("standard-orders")}) == 2


def test_the_same_orders_again_make_no_version_and_send_nothing() -> None:
    harness = Harness(declared(OrdersContainer()))
    harness.tick("fetch-orders")
    harness.run()
    harness.clock.advance(timedelta(minutes=5))
    harness.tick("fetch-orders")
    harness.run()
    assert len(harness.queue("standard-orders")) == 4
    with tenant_context("customer-a"):
        assert harness.entities.count() == 8


def test_an_order_that_changed_makes_one_new_version() -> None:
    parts = OrdersContainer()
    harness = Harness(declared(parts))
    harness.tick("fetch-orders")
    harness.run()
    parts.shop().orders[1] = {"id": "2", "kind": "x"}
    harness.clock.advance(timedelta(minutes=5))
    harness.tick("fetch-orders")
    harness.run()
    express = [
        message.entity for message in harness.queue("express-orders") if message.tenant_id == "customer-a"
    ]
    assert [(entity.external_id, entity.version) for entity in express if entity] == [("1", 1), ("2", 2)]
    with tenant_context("customer-a"):
        head = harness.entities.head(external_id="2", canonical_type="customer_order", source="external_api")
        assert head is not None
        assert [version.version for version in harness.entities.history(head.id)] == [1, 2]


def test_an_entity_can_be_made_outside_of_functions() -> None:
    harness = Harness(declared(OrdersContainer()))
    with tenant_context("customer-a"):
        reference = harness.entities.create_entity(
            external_id="9", canonical_type="customer_order", source="by_hand", data={"id": "9"}
        )
    assert (reference.version, reference.tenant_id) == (1, "customer-a")
