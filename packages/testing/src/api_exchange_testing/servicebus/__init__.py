"""Azure Service Bus for tests: a broker on the loopback that the real client libraries talk to over AMQP 1.0."""

from __future__ import annotations

from api_exchange_testing.servicebus.access import Policy, Right
from api_exchange_testing.servicebus.broker import (
    STANDARD_MESSAGE_SIZE,
    BrokerUnavailableError,
    ServiceBusBroker,
    StoredMessage,
)
from api_exchange_testing.servicebus.faults import Faults
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.settings import CorrelationFilter, Queue, Subscription, Topic

__all__ = [
    "STANDARD_MESSAGE_SIZE",
    "BrokerUnavailableError",
    "Condition",
    "CorrelationFilter",
    "Faults",
    "Policy",
    "Queue",
    "RefusedError",
    "Right",
    "ServiceBusBroker",
    "StoredMessage",
    "Subscription",
    "Topic",
]
