"""What the suites of the reporting ports need of an adapter."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from api_exchange_core.ports.backlog import Backlog
from api_exchange_core.ports.entity_reports import EntityReports
from api_exchange_core.ports.error_groups import ErrorGroups
from api_exchange_core.ports.message_reports import MessageReports
from api_exchange_core.ports.statistics import StatisticsSource
from api_exchange_testing.conformance.storage import Storage, StorageSuite


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """All reports on one store, which a `Storage` writes."""

    storage: Storage
    messages: MessageReports
    errors: ErrorGroups
    statistics: StatisticsSource
    backlog: Backlog
    entities: EntityReports


class ReportsSuite(StorageSuite):
    """Needs a fixture `reports` that returns `Reports`."""

    @pytest.fixture
    def storage(self, reports: Reports) -> Storage:
        """What writes that on which is reported."""
        return reports.storage
