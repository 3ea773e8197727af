"""Storage Queues and blobs pass the suites of their ports, on a stand-in whose clock can be advanced."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient
from typing_extensions import override

from api_exchange_azure.storage.consumer import StorageQueueConsumer
from api_exchange_azure.storage.copies import StorageCopies
from api_exchange_azure.storage.inspector import StorageQueueInspector
from api_exchange_azure.storage.payload_store import BlobPayloadStore
from api_exchange_azure.storage.publisher import StorageQueuePublisher
from api_exchange_azure.storage.queues import StorageQueues
from api_exchange_azure.storage.wire import MAX_BODY, NOTES_ROOM
from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.domain.claim_check import PayloadClaim
from api_exchange_core.domain.names import TenantId
from api_exchange_core.domain.output import MAX_DELAY
from api_exchange_testing import InMemoryPayloadStore
from api_exchange_testing.conformance import (
    MessageConsumerSuite,
    MessagePublisherSuite,
    PassingTime,
    PayloadStoreSuite,
    QueueInspectorSuite,
    QueueTraits,
    Transport,
)
from api_exchange_testing.conformance.payload_store import Damage
from packages.azure.tests.azurite.server import Azurite

# The first to ask for it installs Node and Azurite, which takes a minute.
pytestmark = pytest.mark.timeout(600)


class _AzuriteClock(PassingTime):
    def __init__(self, azurite: Azurite) -> None:
        self._azurite = azurite

    @override
    def now(self) -> datetime:
        return self._azurite.now()

    @override
    def advance(self, by: timedelta) -> None:
        self._azurite.advance(by)


class TestStorageQueue(MessagePublisherSuite, MessageConsumerSuite, QueueInspectorSuite):
    @pytest.fixture
    def clock(self, azurite: Azurite) -> PassingTime:
        return _AzuriteClock(azurite)

    @pytest.fixture
    def transport(self, azurite: Azurite, clock: PassingTime) -> Transport:
        service = QueueServiceClient.from_connection_string(azurite.connection_string)
        queues = StorageQueues(service, f"t{uuid4().hex[:8]}-")
        for name in ("orders-in", "orders-in-dlq", "orders-out", "orders-out-dlq"):
            service.create_queue(queues.prefix + name)
        claims = ClaimCheck(InMemoryPayloadStore(), MAX_BODY - NOTES_ROOM)
        return Transport(
            publisher=ClaimCheckPublisher(StorageQueuePublisher(queues), claims),
            consumer=ClaimCheckConsumer(StorageQueueConsumer(queues, StorageCopies(queues), clock), claims),
            inspector=StorageQueueInspector(queues),
            traits=QueueTraits(
                oldest_first=False,
                ordering_keys=False,
                fair=False,
                receipts_expire=False,
                max_body=MAX_BODY,
                max_delay=MAX_DELAY,
            ),
        )


class TestBlobs(PayloadStoreSuite):
    @pytest.fixture
    def payloads(self, azurite: Azurite) -> BlobPayloadStore:
        blobs = BlobServiceClient.from_connection_string(azurite.connection_string)
        return BlobPayloadStore(blobs.create_container(f"payloads-{uuid4().hex}"))

    @pytest.fixture
    def damage(self, payloads: BlobPayloadStore) -> Damage:
        def damage(tenant_id: TenantId, claim: PayloadClaim) -> None:
            payloads.container.upload_blob(f"{tenant_id}/{claim.digest}", b"other", overwrite=True)

        return damage
