"""Test an exchange in memory, and certify adapters.

The conformance suites need pytest, and are imported from `api_exchange_testing.conformance`.
"""

from api_exchange_testing.harness import Harness
from api_exchange_testing.idempotence import assert_idempotent
from api_exchange_testing.memory.backlog import InMemoryBacklog
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.dead_letter_jobs import InMemoryDeadLetterJobs
from api_exchange_testing.memory.dead_letters import InMemoryDeadLetters
from api_exchange_testing.memory.entity_reports import InMemoryEntityReports
from api_exchange_testing.memory.eraser import InMemoryEraser
from api_exchange_testing.memory.error_groups import InMemoryErrorGroups
from api_exchange_testing.memory.file_sink import InMemoryFileSink
from api_exchange_testing.memory.leases import InMemoryLeases
from api_exchange_testing.memory.message_reports import InMemoryMessageReports
from api_exchange_testing.memory.observer import Event, RecordingObserver
from api_exchange_testing.memory.queue import InMemoryQueue, QueuedMessage
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.retention_store import InMemoryRetentionStore
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.statistics import InMemoryStatisticsSource
from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
from api_exchange_testing.memory.unit_of_work import InMemoryStore, InMemoryUnitOfWorkFactory
from api_exchange_testing.simulation import BrokenPromiseError, Fault, Plan, Simulation, explore

__all__ = [
    "BrokenPromiseError",
    "Event",
    "Fault",
    "Harness",
    "InMemoryBacklog",
    "InMemoryDeadLetterJobs",
    "InMemoryDeadLetters",
    "InMemoryEntityReports",
    "InMemoryEraser",
    "InMemoryErrorGroups",
    "InMemoryFileSink",
    "InMemoryLeases",
    "InMemoryMessageReports",
    "InMemoryQueue",
    "InMemoryRetentionStore",
    "InMemoryStatisticsSource",
    "InMemoryStore",
    "InMemoryTenantDirectory",
    "InMemoryUnitOfWorkFactory",
    "Plan",
    "QueuedMessage",
    "RecordingObserver",
    "SeededRandomness",
    "Simulation",
    "VirtualClock",
    "VirtualSleeper",
    "assert_idempotent",
    "explore",
]
