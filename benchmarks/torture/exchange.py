"""The application under torture: source, transform, gateway, and two consumers that book what arrives.

A step fails now and then for a reason that would pass. Whether it does follows from the seed, the message and the
attempt alone, so that a run with the same seed fails in the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

from api_exchange_core import (
    EntityReference,
    Exchange,
    Exclusive,
    FileOutputHandler,
    Message,
    OutputHandler,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    RetryPolicy,
    operation,
)

NAME = "torture"
TENANTS = ("customer-a", "customer-b", "customer-c")
FEED, FETCHED, CANONICAL, BOOKED = "feed", "orders-fetched", "orders-canonical", "booked"
ROUTES = {"express": "express-orders", "standard": "standard-orders"}
BOOKINGS = "bookings.jsonl"
# Being killed counts as an attempt, since nobody can tell it from being what kills.
_PATIENT = RetryPolicy(
    max_attempts=100, base_delay=timedelta(milliseconds=100), max_delay=timedelta(seconds=1)
)
# One lease ends before a message is visible again, so that who is late is overtaken; the other ends after it, so that
# who is early finds the message claimed.
_SHORT, _LONG = Exclusive(lease=timedelta(seconds=1)), Exclusive(lease=timedelta(seconds=5))


@dataclass(frozen=True, slots=True)
class Trouble:
    """Errors that would pass.

    Args:
        seed: decides which calls fail.
        rate: of all calls, from 0 to 1.
    """

    seed: int
    rate: float

    def strike(self, message: Message, context: ProcessorContext) -> None:
        """Fail, or not."""
        text = f"{self.seed}/{context.function}/{message.id}/{context.attempt}"
        drawn = int.from_bytes(sha256(text.encode()).digest()[:4]) / 2**32
        if drawn < self.rate:
            raise RetryableError("the other side is out of breath")


@dataclass(frozen=True, slots=True)
class FetchOrder(ProcessorInterface):
    """Source: an order as the outside world has it."""

    trouble: Trouble

    @operation("external_api.fetch")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        order = _order(message, context)
        context.persist_entity(
            external_id=order["order"], canonical_type="customer_order", source="external_api", data=order
        )
        # Only now: what was intended until here must leave no trace.
        self.trouble.strike(message, context)
        if order["kind"] == "poison":
            raise PermanentError("an order that nobody can take")
        return _sent_to(QueueOutputHandler(FETCHED))


@dataclass(frozen=True, slots=True)
class ToCanonical(ProcessorInterface):
    """Transform: a new version in canonical form."""

    trouble: Trouble

    @operation("transform.canonical")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.trouble.strike(message, context)
        order = _order(message, context)
        context.persist_entity(
            external_id=_entity(message).external_id,
            canonical_type="canonical_order",
            source="transformer",
            data={**order, "order_type": order["kind"]},
        )
        return _sent_to(QueueOutputHandler(CANONICAL))


@dataclass(frozen=True, slots=True)
class RouteByType(ProcessorInterface):
    """Gateway: routes on content."""

    trouble: Trouble

    @operation("route.by_type")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        self.trouble.strike(message, context)
        return _sent_to(QueueOutputHandler(ROUTES[_order(message, context)["order_type"]]))


@dataclass(frozen=True, slots=True)
class Book(ProcessorInterface):
    """Consumer: the effect that must be there once, and what must go out for it."""

    trouble: Trouble

    @operation("book")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        order = _order(message, context)
        context.persist_entity(
            external_id=f"{order['order']}/{order['edition']}",
            canonical_type="booking",
            source="books",
            data=order,
        )
        self.trouble.strike(message, context)
        return _sent_to(QueueOutputHandler(BOOKED), FileOutputHandler(BOOKINGS))


def declared(trouble: Trouble) -> Exchange:
    """The application."""
    exchange = Exchange(NAME, tenants=TENANTS)
    exchange.queue("fetch-orders", FEED, FetchOrder(trouble), retry=_PATIENT)
    exchange.queue("to-canonical", FETCHED, ToCanonical(trouble), retry=_PATIENT, exclusive=_SHORT)
    exchange.queue("route-orders", CANONICAL, RouteByType(trouble), retry=_PATIENT)
    for kind, queue in ROUTES.items():
        exclusive = _LONG if kind == "express" else False
        exchange.queue(f"book-{kind}", queue, Book(trouble), retry=_PATIENT, exclusive=exclusive)
    return exchange


def _order(message: Message, context: ProcessorContext) -> dict[str, Any]:
    payload = message.payload
    if not isinstance(payload, dict) or payload["tenant"] != context.tenant_id:
        raise PermanentError(f"a message of another tenant in the context of {context.tenant_id!r}")
    return payload


def _entity(message: Message) -> EntityReference:
    if message.entity is None:
        raise PermanentError("a message that names no entity")
    return message.entity


def _sent_to(*outputs: OutputHandler) -> ProcessingResult:
    result = ProcessingResult.create_success()
    for output in outputs:
        result.add_output_handler(output)
    return result
