"""A function app whose queues are in Azure Storage, in the library of Azure's own Python worker."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from api_exchange_azure.storage.wire import Content
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.domain.claim_check import claim_in
from api_exchange_core.domain.envelope import decode_failure, encode
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, TenantId
from packages.azure.tests.azurite.server import Azurite
from packages.azure.tests.worker.environment import WorkerUnavailableError, library
from packages.azure.tests.worker.process import Worker, as_bytes

# The first to ask for it installs Node and Azurite, which takes a minute.
pytestmark = pytest.mark.timeout(600)

_QUEUES = ("orders-in", "orders-in-dlq", "orders-out")


@pytest.fixture(scope="module")
def prefix() -> str:
    return f"t{uuid4().hex[:8]}-"


@pytest.fixture(scope="module")
def service(azurite: Azurite, prefix: str) -> QueueServiceClient:
    service = QueueServiceClient.from_connection_string(azurite.connection_string)
    for queue in _QUEUES:
        service.create_queue(prefix + queue)
    return service


@pytest.fixture(scope="module")
def worker(
    azurite: Azurite, prefix: str, service: QueueServiceClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    try:
        folder = library()
    except WorkerUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(absent))
    blobs = BlobServiceClient.from_connection_string(azurite.connection_string)
    container = blobs.create_container(f"payloads-{uuid4().hex}")
    database = tmp_path_factory.mktemp("worker") / "exchange.db"
    worker = Worker.start(folder, _settings(azurite, prefix, database, str(container.container_name)))
    yield worker
    worker.stop()


@pytest.fixture(autouse=True)
def _empty(service: QueueServiceClient, prefix: str) -> None:
    for queue in _QUEUES:
        service.get_queue_client(prefix + queue).clear_messages()


def _settings(azurite: Azurite, prefix: str, database: Path, container: str) -> Mapping[str, str]:
    url = f"sqlite:///{database}"
    engine = create_engine_for(url)
    migrate.upgrade(engine)
    engine.dispose()
    return {
        "API_EXCHANGE_DATABASE_URL": url,
        "API_EXCHANGE_QUEUES": "storage",
        "API_EXCHANGE_STORAGE": azurite.connection_string,
        "API_EXCHANGE_PAYLOAD_CONTAINER": container,
        "API_EXCHANGE_QUEUE_PREFIX": prefix,
        "TEST_WITHOUT_TOPICS": "1",
    }


def _message(message_id: str, told: str = "go", *, filler: str = "") -> bytes:
    return encode(
        Message(
            id=MessageId(message_id),
            tenant_id=TenantId("customer-a"),
            source="/test",
            payload={"told": told, "filler": filler},
            time=datetime(2026, 1, 1, tzinfo=UTC),
            correlation_id=message_id,
        )
    )


def _invoke(worker: Worker, lying: bytes, *, count: int = 1) -> object:
    metadata = {
        "Id": {"string": "8a9c"},
        "PopReceipt": {"string": "AgAAAA=="},
        "DequeueCount": {"json": count},
        "InsertionTime": {"json": "2026-01-01T00:00:00+00:00"},
        "ExpirationTime": {"json": "9999-12-31T23:59:59+00:00"},
        "NextVisibleTime": {"json": "2026-01-01T00:10:00+00:00"},
    }
    return worker.invoke("run-obey", {"message": {"bytes": as_bytes(lying)}}, metadata)


def _lying(service: QueueServiceClient, queue: str) -> list[Content]:
    messages = service.get_queue_client(queue).receive_messages()
    return [Content.of(b64decode(message.content)) for message in messages]


def _count(service: QueueServiceClient, queue: str) -> int | None:
    return service.get_queue_client(queue).get_queue_properties().approximate_message_count


def test_the_worker_indexes_queues_of_storage(worker: Worker, prefix: str) -> None:
    (trigger,) = worker.indexed["run-obey"]
    assert (trigger["type"], trigger["queueName"]) == ("queueTrigger", f"{prefix}orders-in")
    assert trigger["connection"] == "API_EXCHANGE_STORAGE"


def test_a_message_is_handled_and_its_output_is_sent(
    worker: Worker, service: QueueServiceClient, prefix: str
) -> None:
    assert _invoke(worker, _message("a-1")) == {"error": None}
    assert len(_lying(service, prefix + "orders-out")) == 1


def test_what_is_to_be_retried_is_sent_again_for_later(
    worker: Worker, service: QueueServiceClient, prefix: str
) -> None:
    assert _invoke(worker, _message("b-1", "retry"), count=2) == {"error": None}
    assert _count(service, prefix + "orders-in") == 1
    assert _lying(service, prefix + "orders-in") == [], "it is not due yet"


def test_a_retry_at_once_notes_the_attempts_that_are_spent(
    worker: Worker, service: QueueServiceClient, prefix: str
) -> None:
    body = _message("c-1", "quick")
    assert _invoke(worker, Content(body=body, spent=1, properties={"kind": "express"}).lying) == {
        "error": None
    }
    (copy,) = _lying(service, prefix + "orders-in")
    assert copy == Content(body=body, spent=2, properties={"kind": "express"})


def test_a_dead_letter_goes_to_the_exchanges_own_queue(
    worker: Worker, service: QueueServiceClient, prefix: str
) -> None:
    assert _invoke(worker, _message("d-1", "die")) == {"error": None}
    (letter,) = _lying(service, prefix + "orders-in-dlq")
    assert decode_failure(letter.body) is not None


def test_a_large_message_goes_on_with_its_content_in_a_blob(
    worker: Worker, service: QueueServiceClient, prefix: str
) -> None:
    assert _invoke(worker, _message("e-1", filler="x" * 100_000)) == {"error": None}
    (output,) = _lying(service, prefix + "orders-out")
    claim = claim_in(output.body)
    assert claim is not None
    assert claim.size > 100_000
    service.get_queue_client(prefix + "orders-out").clear_messages()
    assert _invoke(worker, output.body) == {"error": None}, "what comes with a claim is handled whole"
    (forwarded,) = _lying(service, prefix + "orders-out")
    assert claim_in(forwarded.body) == claim
