"""Test an exchange in memory, and certify adapters.

Names are loaded when they are first used: pytest imports this package with its plugin in every run, in projects of the
same environment as well that never use it. The conformance suites are imported from
`api_exchange_testing.conformance`, simulations from `api_exchange_testing.simulation`, strategies from
`api_exchange_testing.strategies`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api_exchange_testing.container import InMemoryContainer, in_memory_container
    from api_exchange_testing.harness import Harness
    from api_exchange_testing.idempotence import assert_idempotent
    from api_exchange_testing.memory.backlog import InMemoryBacklog
    from api_exchange_testing.memory.budgets import InMemoryBudgets
    from api_exchange_testing.memory.clock import VirtualClock
    from api_exchange_testing.memory.credential_store import InMemoryCredentialStore
    from api_exchange_testing.memory.dead_letter_jobs import InMemoryDeadLetterJobs
    from api_exchange_testing.memory.dead_letters import InMemoryDeadLetters
    from api_exchange_testing.memory.entity_reports import InMemoryEntityReports
    from api_exchange_testing.memory.eraser import InMemoryEraser
    from api_exchange_testing.memory.error_groups import InMemoryErrorGroups
    from api_exchange_testing.memory.file_sink import InMemoryFileSink
    from api_exchange_testing.memory.leases import InMemoryLeases
    from api_exchange_testing.memory.message_reports import InMemoryMessageReports
    from api_exchange_testing.memory.observer import Event, RecordingObserver
    from api_exchange_testing.memory.payload_store import InMemoryPayloadStore
    from api_exchange_testing.memory.profile import PORTABLE, SERVICE_BUS, SQS, STORAGE_QUEUE, Profile
    from api_exchange_testing.memory.queue import InMemoryQueue, QueuedMessage
    from api_exchange_testing.memory.randomness import SeededRandomness
    from api_exchange_testing.memory.request_log import InMemoryRequestLog
    from api_exchange_testing.memory.retention_store import InMemoryRetentionStore
    from api_exchange_testing.memory.sealer import InMemorySealer
    from api_exchange_testing.memory.secret_source import InMemorySecretSource
    from api_exchange_testing.memory.sleeper import VirtualSleeper
    from api_exchange_testing.memory.statistics import InMemoryStatisticsSource
    from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
    from api_exchange_testing.memory.unit_of_work import InMemoryStore, InMemoryUnitOfWorkFactory
    from api_exchange_testing.memory.webhook_secrets import InMemoryWebhookSecrets
    from api_exchange_testing.paged_api import PagedApi
    from api_exchange_testing.simulated_vendor import SimulatedVendor
    from api_exchange_testing.simulation import BrokenPromiseError, Fault, Plan, Simulation, explore

__all__ = [
    "PORTABLE",
    "SERVICE_BUS",
    "SQS",
    "STORAGE_QUEUE",
    "BrokenPromiseError",
    "Event",
    "Fault",
    "Harness",
    "InMemoryBacklog",
    "InMemoryBudgets",
    "InMemoryContainer",
    "InMemoryCredentialStore",
    "InMemoryDeadLetterJobs",
    "InMemoryDeadLetters",
    "InMemoryEntityReports",
    "InMemoryEraser",
    "InMemoryErrorGroups",
    "InMemoryFileSink",
    "InMemoryLeases",
    "InMemoryMessageReports",
    "InMemoryPayloadStore",
    "InMemoryQueue",
    "InMemoryRequestLog",
    "InMemoryRetentionStore",
    "InMemorySealer",
    "InMemorySecretSource",
    "InMemoryStatisticsSource",
    "InMemoryStore",
    "InMemoryTenantDirectory",
    "InMemoryUnitOfWorkFactory",
    "InMemoryWebhookSecrets",
    "PagedApi",
    "Plan",
    "Profile",
    "QueuedMessage",
    "RecordingObserver",
    "SeededRandomness",
    "SimulatedVendor",
    "Simulation",
    "VirtualClock",
    "VirtualSleeper",
    "assert_idempotent",
    "explore",
    "in_memory_container",
]

_HOMES = {
    "container": ("InMemoryContainer", "in_memory_container"),
    "harness": ("Harness",),
    "idempotence": ("assert_idempotent",),
    "memory.backlog": ("InMemoryBacklog",),
    "memory.budgets": ("InMemoryBudgets",),
    "memory.clock": ("VirtualClock",),
    "memory.credential_store": ("InMemoryCredentialStore",),
    "memory.dead_letter_jobs": ("InMemoryDeadLetterJobs",),
    "memory.dead_letters": ("InMemoryDeadLetters",),
    "memory.entity_reports": ("InMemoryEntityReports",),
    "memory.eraser": ("InMemoryEraser",),
    "memory.error_groups": ("InMemoryErrorGroups",),
    "memory.file_sink": ("InMemoryFileSink",),
    "memory.payload_store": ("InMemoryPayloadStore",),
    "memory.leases": ("InMemoryLeases",),
    "memory.message_reports": ("InMemoryMessageReports",),
    "memory.observer": ("Event", "RecordingObserver"),
    "memory.profile": ("PORTABLE", "SERVICE_BUS", "SQS", "STORAGE_QUEUE", "Profile"),
    "memory.queue": ("InMemoryQueue", "QueuedMessage"),
    "memory.randomness": ("SeededRandomness",),
    "memory.request_log": ("InMemoryRequestLog",),
    "memory.retention_store": ("InMemoryRetentionStore",),
    "memory.sealer": ("InMemorySealer",),
    "memory.secret_source": ("InMemorySecretSource",),
    "memory.sleeper": ("VirtualSleeper",),
    "memory.statistics": ("InMemoryStatisticsSource",),
    "memory.tenant_directory": ("InMemoryTenantDirectory",),
    "memory.unit_of_work": ("InMemoryStore", "InMemoryUnitOfWorkFactory"),
    "paged_api": ("PagedApi",),
    "memory.webhook_secrets": ("InMemoryWebhookSecrets",),
    "simulated_vendor": ("SimulatedVendor",),
    "simulation": ("BrokenPromiseError", "Fault", "Plan", "Simulation", "explore"),
}
_MODULES = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker knows the names from above, and is to refuse all others

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
