"""Hypothesis strategies for everything that travels through an exchange.

Each generates only what the framework accepts, the nasty cases included, so that a failing example is a bug of the
code under test. `refused_payloads` generates what must be refused.
"""

from api_exchange_testing.strategies.declarations import retry_policies, schedules
from api_exchange_testing.strategies.deliveries import batches, deliveries
from api_exchange_testing.strategies.entities import entity_keys, entity_references
from api_exchange_testing.strategies.json import payloads, refused_payloads
from api_exchange_testing.strategies.messages import messages, ticks
from api_exchange_testing.strategies.models import payloads_of
from api_exchange_testing.strategies.names import function_names, moments, queue_names, tenant_ids
from api_exchange_testing.strategies.plans import plans

__all__ = [
    "batches",
    "deliveries",
    "entity_keys",
    "entity_references",
    "function_names",
    "messages",
    "moments",
    "payloads",
    "payloads_of",
    "plans",
    "queue_names",
    "refused_payloads",
    "retry_policies",
    "schedules",
    "tenant_ids",
    "ticks",
]
