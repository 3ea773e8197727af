"""What the suites of the storing ports need of an adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory
from api_exchange_testing.conformance.suite import Suite
from api_exchange_testing.conformance.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One store, empty, with the tenants ``customer-a`` and ``customer-b``.

    Args:
        connect: another client of the store, as another process would have it.
        relay_source: the store's outbox as the relay sees it.
        due_after: how long the relay leaves a row to the unit of work that committed it.
        transport: the queues that live in the store, for `QueuesHereSuite`.
    """

    connect: Callable[[], UnitOfWorkFactory]
    relay_source: OutboxRelaySource
    due_after: timedelta
    transport: Transport | None = None


class StorageSuite(Suite):
    """Needs a fixture `storage` that returns a `Storage`."""

    @pytest.fixture
    def units(self, storage: Storage) -> UnitOfWorkFactory:
        """The client that writes."""
        return storage.connect()

    @pytest.fixture
    def elsewhere(self, storage: Storage) -> UnitOfWorkFactory:
        """Another client, which reads back: it knows nothing that the first one only remembers."""
        return storage.connect()
