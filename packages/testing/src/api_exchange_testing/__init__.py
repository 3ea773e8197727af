"""Test an exchange in memory, and certify adapters.

The conformance suites need pytest, and are imported from `api_exchange_testing.conformance`.
"""

from api_exchange_testing.harness import Harness
from api_exchange_testing.idempotence import assert_idempotent
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.dead_letter_jobs import InMemoryDeadLetterJobs
from api_exchange_testing.memory.dead_letters import InMemoryDeadLetters
from api_exchange_testing.memory.eraser import InMemoryEraser
from api_exchange_testing.memory.file_sink import InMemoryFileSink
from api_exchange_testing.memory.leases import InMemoryLeases
from api_exchange_testing.memory.observer import Event, RecordingObserver
from api_exchange_testing.memory.queue import InMemoryQueue, QueuedMessage
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.retention_store import InMemoryRetentionStore
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
from api_exchange_testing.memory.unit_of_work import InMemoryStore, InMemoryUnitOfWorkFactory

__all__ = [
    "Event",
    "Harness",
    "InMemoryDeadLetterJobs",
    "InMemoryDeadLetters",
    "InMemoryEraser",
    "InMemoryFileSink",
    "InMemoryLeases",
    "InMemoryQueue",
    "InMemoryRetentionStore",
    "InMemoryStore",
    "InMemoryTenantDirectory",
    "InMemoryUnitOfWorkFactory",
    "QueuedMessage",
    "RecordingObserver",
    "SeededRandomness",
    "VirtualClock",
    "VirtualSleeper",
    "assert_idempotent",
]
