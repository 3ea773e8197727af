"""The business steps of the example: fetch, take in, transform, route."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from typing_extensions import override

from api_exchange_core import (
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    operation,
)
from examples.orders.mapping import ShopOrderMapper
from examples.orders.models import CanonicalOrder, JsonObject, ShopOrder


class OrderFeed(Protocol):
    """Where orders come from."""

    def get_data(self) -> Iterable[JsonObject]:
        """The current tenant's orders, as the shop sends them."""


class FetchOrders(ProcessorInterface):
    """Source: persists every order of the shop; what is new or changed goes on."""

    def __init__(self, api_client: OrderFeed) -> None:
        self.api_client = api_client

    @override
    @operation("external_api.fetch")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        for order in self.api_client.get_data():
            entity_id = context.persist_entity(
                external_id=str(order["id"]),
                canonical_type="customer_order",
                source="external_api",
                data=order,
            )
            result.add_entity_created(entity_id)
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result


class TakeOrder(ProcessorInterface):
    """Source: one order that somebody posts."""

    payload_model = ShopOrder

    @override
    @operation("intake.take")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        order = message.payload_as(ShopOrder)
        context.persist_entity(
            external_id=order.id, canonical_type="customer_order", source="intake", data=message.payload
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result


class ToCanonical(ProcessorInterface):
    """Transform: the order in canonical form, as an entity of its own."""

    def __init__(self, mapper: ShopOrderMapper) -> None:
        self.mapper = mapper

    @override
    @operation("transform.canonical")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        if message.entity is None:
            raise PermanentError(
                f"message {message.id!r} is about no order: send one that a source has persisted"
            )
        context.persist_entity(
            external_id=message.entity.external_id,
            canonical_type="canonical_order",
            source="transformer",
            data=self.mapper.to_canonical(message.payload),
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-canonical"))
        return result


class RouteByType(ProcessorInterface):
    """Gateway: express and standard orders part ways; what is neither waits for somebody to look at it."""

    payload_model = CanonicalOrder

    @override
    @operation("route.by_type")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        order_type = message.payload_as(CanonicalOrder).order_type
        queue = {"express": "express-orders", "standard": "standard-orders", None: "unknown-orders"}[
            order_type
        ]
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(queue))
        return result
