"""A function app whose processors do as their messages say."""

from __future__ import annotations

import os
from datetime import timedelta

from api_exchange_azure import Subscription, create_function_app
from api_exchange_core import (
    DeferError,
    Exchange,
    Message,
    PermanentError,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    RetryableError,
    Schedule,
    StandardWebhooks,
    TenantFromApiKey,
    TenantFromWebhook,
)


class Obey(ProcessorInterface):
    """Fails as it is told, or forwards."""

    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        told = message.payload.get("told") if isinstance(message.payload, dict) else None
        if told == "retry":
            raise RetryableError("told to", retry_after=timedelta(hours=1))
        if told == "quick":
            raise RetryableError("told to", retry_after=timedelta(0))
        if told == "defer":
            raise DeferError("told to", delay=timedelta(hours=1))
        if told == "die":
            raise PermanentError("told to")
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-out"))
        return result


exchange = Exchange("orders", tenants=["customer-a", "customer-b"])
exchange.queue("obey", "orders-in", Obey)
exchange.queue("in-order", "in-order", Obey)
exchange.timer("fetch", Schedule.every(minutes=5), Obey)
exchange.http("intake", "/orders", Obey, tenant=TenantFromApiKey())
exchange.http("hooks", "/hooks/{tenant}", Obey, tenant=TenantFromWebhook(StandardWebhooks(), secrets="shop"))
topics = {} if "TEST_WITHOUT_TOPICS" in os.environ else {"orders-in": [Subscription("erp", "orders")]}
app = create_function_app(exchange, subscriptions=topics)
