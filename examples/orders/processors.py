"""The business steps of the example: fetch, take in, transform, route."""

from __future__ import annotations

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
from api_exchange_core.http import ApiClient, CursorPages, Paginator, fetch_from
from examples.orders.mapping import ShopOrderMapper
from examples.orders.models import CanonicalOrder, ShopOrder

ORDERS = CursorPages(path="/v1/orders", items="/orders", cursor="/next_cursor", params={"limit": 500})
"""The shop's orders, as many a page as it gives at most."""


class FetchOrders(ProcessorInterface):
    """Source: persists every order of the shop, a page a message; what is new or changed goes on."""

    def __init__(self, shop: ApiClient, orders: Paginator = ORDERS) -> None:
        self.fetch = fetch_from(shop, orders)

    @override
    @operation("external_api.fetch")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        for page in context.source("orders").pages(self.fetch):
            for order in page:
                context.persist_entity(
                    external_id=str(order["id"]),
                    canonical_type="customer_order",
                    source="external_api",
                    data=order,
                )
        result = ProcessingResult.create_success()
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
