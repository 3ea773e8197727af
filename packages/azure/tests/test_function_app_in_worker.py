"""A function app in the library of Azure's own Python worker, with real queues behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.domain.api_key import api_key_hash
from api_exchange_core.domain.envelope import decode, decode_failure, encode
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, TenantId
from api_exchange_testing.servicebus import Queue, ServiceBusBroker
from packages.azure.tests.worker.environment import WorkerUnavailableError, library
from packages.azure.tests.worker.process import Worker, as_bytes

_WAITS = ("orders-in", "orders-out", "fetch", "intake", "hooks")


@pytest.fixture(scope="module")
def broker() -> Iterator[ServiceBusBroker]:
    names = [name for queue in _WAITS for name in (queue, f"{queue}-dlq")]
    sessions = Queue("in-order", requires_session=True)
    with ServiceBusBroker(queues=[*names, sessions, "in-order-dlq"], topics={"erp": ["orders"]}) as broker:
        yield broker


@pytest.fixture(scope="module")
def worker(broker: ServiceBusBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    try:
        folder = library()
    except WorkerUnavailableError as absent:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(absent))
    url = f"sqlite:///{tmp_path_factory.mktemp('worker') / 'exchange.db'}"
    engine = create_engine_for(url)
    migrate.upgrade(engine)
    tenants, now = SqlTenantDirectory(engine), datetime.now(UTC)
    tenants.add([TenantId("customer-a")], now=now)
    tenants.add_api_key(TenantId("customer-a"), key_hash=api_key_hash("axk_example"), now=now)
    engine.dispose()
    worker = Worker.start(folder, _settings(url, broker))
    yield worker
    worker.stop()


@pytest.fixture(autouse=True)
def _empty(broker: ServiceBusBroker) -> None:
    for name in (*_WAITS, "in-order"):
        broker.purge(name)
        broker.purge(f"{name}-dlq")


def _settings(url: str, broker: ServiceBusBroker) -> Mapping[str, str]:
    return {
        "API_EXCHANGE_DATABASE_URL": url,
        "API_EXCHANGE_SERVICE_BUS": broker.connection_string,
        "API_EXCHANGE_SESSION_QUEUES": "in-order",
    }


def _message(message_id: str, told: str = "go") -> bytes:
    return encode(
        Message(
            id=MessageId(message_id),
            tenant_id=TenantId("customer-a"),
            source="/test",
            payload={"told": told},
            time=datetime(2026, 1, 1, tzinfo=UTC),
            correlation_id=message_id,
        )
    )


def _batch(*bodies: bytes, count: int = 1, notes: Mapping[str, object] | None = None) -> Any:
    """A batch of a Service Bus trigger, as the host hands it over."""
    number = len(bodies)
    properties = {} if notes is None else {"api-exchange-notes": json.dumps(notes), "kind": "express"}
    metadata = {
        "MessageIdArray": [f"customer-a/{place}" for place in range(number)],
        "DeliveryCountArray": [count] * number,
        "SequenceNumberArray": list(range(1, number + 1)),
        "LockTokenArray": [f"lock-{place}" for place in range(number)],
        "EnqueuedTimeUtcArray": ["2026-01-01T00:00:00.5Z"] * number,
        "ApplicationPropertiesArray": [properties] * number,
        "UserPropertiesArray": [{}] * number,
    }
    return (
        {"messages": {"many": [as_bytes(body) for body in bodies]}},
        {name: {"json": value} for name, value in metadata.items()},
    )


def _one(body: bytes, *, session: str, message_id: str = "customer-a/1") -> Any:
    metadata = {
        "MessageId": {"string": message_id},
        "SessionId": {"string": session},
        "DeliveryCount": {"json": 1},
        "SequenceNumber": {"json": 7},
        "EnqueuedTimeUtc": {"json": "2026-01-01T00:00:00.5Z"},
        "ApplicationProperties": {"json": {}},
        "UserProperties": {"json": {}},
    }
    return {"message": {"bytes": as_bytes(body)}}, metadata


def _http(method: str = "POST", *, body: bytes = b"{}", **parts: Any) -> Any:
    return {
        "request": {
            "http": {
                "method": method,
                "url": "https://orders.azurewebsites.net/orders",
                "headers": {},
                "params": {},
                "query": {},
                **parts,
                "body": as_bytes(body),
            }
        }
    }


def test_the_worker_indexes_every_function_of_the_exchange(worker: Worker) -> None:
    assert {name.partition("-")[0] for name in worker.indexed} == {"run", "tick", "http", "chore", "health"}
    (batch,) = worker.indexed["run-obey"]
    assert (batch["type"], batch["queueName"], batch["cardinality"]) == (
        "serviceBusTrigger",
        "orders-in",
        "MANY",
    )
    (session,) = worker.indexed["run-in-order"]
    assert (session["isSessionsEnabled"], session["cardinality"]) == (True, "ONE")
    (topic,) = worker.indexed["run-obey-topic-1"]
    assert (topic["topicName"], topic["subscriptionName"]) == ("erp", "orders")
    (timer,) = worker.indexed["tick-fetch"]
    assert timer["schedule"] == "0 */5 * * * *"
    assert worker.indexed["http-hooks"][0]["route"] == "hooks/{tenant}"
    assert "chore-relay-outbox" in worker.indexed


def test_a_batch_is_handled_and_its_outputs_are_sent(worker: Worker, broker: ServiceBusBroker) -> None:
    answer = worker.invoke("run-obey", *_batch(_message("a-1"), _message("a-2")))
    assert answer == {"error": None}
    assert len(broker.messages("orders-out")) == 2
    assert broker.messages("orders-in") == ()


def test_a_batch_that_comes_again_takes_effect_once(worker: Worker, broker: ServiceBusBroker) -> None:
    for _ in range(2):
        assert worker.invoke("run-obey", *_batch(_message("b-1"))) == {"error": None}
    assert len(broker.messages("orders-out")) == 1


def test_what_is_to_be_retried_is_sent_again_for_later_and_keeps_count(
    worker: Worker, broker: ServiceBusBroker
) -> None:
    body = _message("c-1", "retry")
    answer = worker.invoke("run-obey", *_batch(body, _message("c-2"), count=2, notes={"spent": 1}))
    assert answer == {"error": None}
    (copy,) = broker.messages("orders-in")
    assert (copy.body, copy.state) == (body, "scheduled")
    assert json.loads(str(copy.properties["api-exchange-notes"])) == {"spent": 3}
    assert copy.properties["kind"] == "express"
    assert str(copy.message_id).startswith("customer-a/0/again-")
    assert len(broker.messages("orders-out")) == 1, "the rest of the batch is done"


def test_a_deferral_spends_no_attempt(worker: Worker, broker: ServiceBusBroker) -> None:
    assert worker.invoke("run-obey", *_batch(_message("d-1", "defer"))) == {"error": None}
    (copy,) = broker.messages("orders-in")
    assert "api-exchange-notes" not in copy.properties


def test_a_dead_letter_goes_to_the_exchanges_own_queue_with_its_failure(
    worker: Worker, broker: ServiceBusBroker
) -> None:
    assert worker.invoke("run-obey", *_batch(_message("e-1", "die"), b"\xff\x00")) == {"error": None}
    letters = [letter.body or b"" for letter in broker.messages("orders-in-dlq")]
    assert [getattr(decode_failure(letter), "code", None) for letter in letters].count("PermanentError") == 1
    assert len(letters) == 2, "bytes that are no message are kept as well"


def test_what_cannot_be_sent_again_is_left_to_the_broker(worker: Worker, broker: ServiceBusBroker) -> None:
    broker.faults.throttle(20)
    answer = worker.invoke("run-obey", *_batch(_message("f-1", "retry")))
    broker.faults.throttle(0)
    assert "throttles" in answer["error"]
    assert broker.messages("orders-in") == ()


def test_a_message_that_keeps_order_raises_so_that_it_stays_the_first(
    worker: Worker, broker: ServiceBusBroker
) -> None:
    body = _message("g-1", "quick")
    answer = worker.invoke("run-in-order", *_one(body, session="customer-a/key/order-1"))
    assert "session" in answer["error"]
    assert broker.messages("in-order") == ()


def test_a_message_alone_in_its_session_is_sent_again_like_any_other(
    worker: Worker, broker: ServiceBusBroker
) -> None:
    body = _message("h-1", "retry")
    answer = worker.invoke("run-in-order", *_one(body, session="customer-a/1"))
    assert answer == {"error": None}
    (copy,) = broker.messages("in-order")
    assert copy.session_id == copy.message_id != "customer-a/1"


def test_a_timer_sends_each_tenant_its_tick_once_however_often_it_fires(
    worker: Worker, broker: ServiceBusBroker
) -> None:
    """Thrice by the real clock, so that two of them are of one time though the next may come in between."""
    timer = {"timer": {"json": {"IsPastDue": False, "Schedule": {"AdjustForDST": True}}}}
    for _ in range(3):
        assert worker.invoke("tick-fetch", timer) == {"error": None}
    ticks = [decode(stored.body or b"") for stored in broker.messages("fetch")]
    assert {tick.tenant_id for tick in ticks} == {"customer-a", "customer-b"}
    assert len(ticks) == 6
    assert (
        len({tick.id for tick in ticks}) == len({(tick.tenant_id, str(tick.payload)) for tick in ticks}) < 6
    )


def test_chores_are_done(worker: Worker) -> None:
    timer = {"timer": {"json": {"IsPastDue": False}}}
    for name in [name for name in worker.indexed if name.startswith("chore-")]:
        assert worker.invoke(name, timer) == {"error": None}


def test_who_proves_no_tenant_is_told_so_in_a_problem_document(worker: Worker) -> None:
    answer = worker.invoke("http-intake", _http())
    assert answer["status"] == 401
    assert json.loads(answer["body"])["title"] == "Unauthorized"
    assert answer["headers"]["content-type"].startswith("application/problem+json")


def test_a_request_becomes_a_message_and_is_answered_with_its_id(
    worker: Worker, broker: ServiceBusBroker
) -> None:
    body = b'{"id":  "o-1"}'
    answer = worker.invoke("http-intake", _http(body=body, headers={"x-api-key": "axk_example"}))
    (stored,) = broker.messages("intake")
    message = decode(stored.body or b"")
    assert (answer["status"], json.loads(answer["body"])["message_id"]) == (202, message.id)
    assert (message.tenant_id, message.payload) == ("customer-a", {"id": "o-1"})


def test_a_request_that_comes_again_under_its_key_is_one_message(
    worker: Worker, broker: ServiceBusBroker
) -> None:
    headers = {"x-api-key": "axk_example", "idempotency-key": "k-1"}
    answers = [worker.invoke("http-intake", _http(headers=headers))["body"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(broker.messages("intake")) == 1


def test_a_webhook_without_signature_is_refused_whatever_its_path_says(worker: Worker) -> None:
    answer = worker.invoke("http-hooks", _http(params={"tenant": "customer-a"}))
    assert answer["status"] == 401


def test_health_is_answered(worker: Worker) -> None:
    answer = worker.invoke("health", _http("GET"))
    assert (answer["status"], json.loads(answer["body"])) == (200, {"status": "ok"})
