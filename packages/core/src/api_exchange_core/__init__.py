"""API Exchange: move data between other people's APIs on cloud functions.

Write processors, declare on which trigger each runs, and let the framework deliver. See the README for a first one.
"""

from api_exchange_core.domain.checkpoint_desk import CheckpointHandle
from api_exchange_core.domain.context import ProcessorContext
from api_exchange_core.domain.entity import EntityReference, PersistOutcome
from api_exchange_core.domain.errors import (
    DeclarationError,
    DeferError,
    ExchangeError,
    PermanentError,
    RetryableError,
    TransientError,
)
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.exclusive import Exclusive, OnLost
from api_exchange_core.domain.gateway import GatewayProcessor
from api_exchange_core.domain.intentions import PersistedEntity
from api_exchange_core.domain.mapper import Mapper
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.operation import operation
from api_exchange_core.domain.output import (
    FileOutputHandler,
    NoOutputHandler,
    OutputHandler,
    QueueOutputHandler,
)
from api_exchange_core.domain.page import Page, PageRequest
from api_exchange_core.domain.processor import ProcessorInterface
from api_exchange_core.domain.result import ProcessingResult
from api_exchange_core.domain.retention import Retention
from api_exchange_core.domain.retry import RetryPolicy
from api_exchange_core.domain.rules import FAIL, Routing, Rule, all_of, any_of, field, not_
from api_exchange_core.domain.schedule import Schedule
from api_exchange_core.domain.source import Source
from api_exchange_core.domain.source_name import Window
from api_exchange_core.domain.tenant import current_tenant, tenant_context
from api_exchange_core.domain.trigger import TenantFromApiKey
from api_exchange_core.domain.watermark import Watermark

__all__ = [
    "FAIL",
    "CheckpointHandle",
    "DeclarationError",
    "DeferError",
    "EntityReference",
    "Exchange",
    "ExchangeError",
    "Exclusive",
    "FileOutputHandler",
    "Function",
    "GatewayProcessor",
    "Mapper",
    "Message",
    "NoOutputHandler",
    "OnLost",
    "OutputHandler",
    "Page",
    "PageRequest",
    "PermanentError",
    "PersistOutcome",
    "PersistedEntity",
    "ProcessingResult",
    "ProcessorContext",
    "ProcessorInterface",
    "QueueOutputHandler",
    "Retention",
    "RetryPolicy",
    "RetryableError",
    "Routing",
    "Rule",
    "Schedule",
    "Source",
    "TenantFromApiKey",
    "TransientError",
    "Watermark",
    "Window",
    "all_of",
    "any_of",
    "current_tenant",
    "field",
    "not_",
    "operation",
    "tenant_context",
]
