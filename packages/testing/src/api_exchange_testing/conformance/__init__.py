"""One suite a port; docs/certify-an-adapter.md shows how an adapter passes it."""

from pkgutil import iter_modules

import pytest

# Before they are imported: a failed `assert` then shows its values, as in a test of one's own.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from api_exchange_testing.conformance.backlog import BacklogSuite  # noqa: E402
from api_exchange_testing.conformance.canonical_encoder import CanonicalEncoderSuite  # noqa: E402
from api_exchange_testing.conformance.checkpoints import CheckpointsSuite  # noqa: E402
from api_exchange_testing.conformance.clock import ClockSuite  # noqa: E402
from api_exchange_testing.conformance.dead_letter_jobs import DeadLetterJobsSuite  # noqa: E402
from api_exchange_testing.conformance.dead_letters import DeadLettersSuite  # noqa: E402
from api_exchange_testing.conformance.entity_reports import EntityReportsSuite  # noqa: E402
from api_exchange_testing.conformance.entity_store import EntityStoreSuite  # noqa: E402
from api_exchange_testing.conformance.eraser import EraserSuite  # noqa: E402
from api_exchange_testing.conformance.error_groups import ErrorGroupsSuite  # noqa: E402
from api_exchange_testing.conformance.error_log import ErrorLogSuite  # noqa: E402
from api_exchange_testing.conformance.file_sink import FileSinkSuite  # noqa: E402
from api_exchange_testing.conformance.journal import JournalSuite  # noqa: E402
from api_exchange_testing.conformance.leases import LeasesSuite  # noqa: E402
from api_exchange_testing.conformance.message_consumer import MessageConsumerSuite  # noqa: E402
from api_exchange_testing.conformance.message_publisher import MessagePublisherSuite  # noqa: E402
from api_exchange_testing.conformance.message_reports import MessageReportsSuite  # noqa: E402
from api_exchange_testing.conformance.observer import ObserverSuite  # noqa: E402
from api_exchange_testing.conformance.outbox import OutboxSuite  # noqa: E402
from api_exchange_testing.conformance.payload_store import PayloadStoreSuite  # noqa: E402
from api_exchange_testing.conformance.queue_inspector import QueueInspectorSuite  # noqa: E402
from api_exchange_testing.conformance.queues_here import QueuesHereSuite  # noqa: E402
from api_exchange_testing.conformance.randomness import RandomnessSuite  # noqa: E402
from api_exchange_testing.conformance.reports import Reports  # noqa: E402
from api_exchange_testing.conformance.retention_store import RetentionStoreSuite  # noqa: E402
from api_exchange_testing.conformance.sleeper import SleeperSuite  # noqa: E402
from api_exchange_testing.conformance.statistics import StatisticsSourceSuite  # noqa: E402
from api_exchange_testing.conformance.storage import Storage  # noqa: E402
from api_exchange_testing.conformance.suite import PassingTime, Suite  # noqa: E402
from api_exchange_testing.conformance.tenant_directory import TenantDirectorySuite  # noqa: E402
from api_exchange_testing.conformance.transport import QueueTraits, Transport  # noqa: E402
from api_exchange_testing.conformance.unit_of_work import UnitOfWorkSuite  # noqa: E402

__all__ = [
    "BacklogSuite",
    "CanonicalEncoderSuite",
    "CheckpointsSuite",
    "ClockSuite",
    "DeadLetterJobsSuite",
    "DeadLettersSuite",
    "EntityReportsSuite",
    "EntityStoreSuite",
    "EraserSuite",
    "ErrorGroupsSuite",
    "ErrorLogSuite",
    "FileSinkSuite",
    "JournalSuite",
    "LeasesSuite",
    "MessageConsumerSuite",
    "MessagePublisherSuite",
    "MessageReportsSuite",
    "ObserverSuite",
    "OutboxSuite",
    "PassingTime",
    "PayloadStoreSuite",
    "QueueInspectorSuite",
    "QueueTraits",
    "QueuesHereSuite",
    "RandomnessSuite",
    "Reports",
    "RetentionStoreSuite",
    "SleeperSuite",
    "StatisticsSourceSuite",
    "Storage",
    "Suite",
    "TenantDirectorySuite",
    "Transport",
    "UnitOfWorkSuite",
]
