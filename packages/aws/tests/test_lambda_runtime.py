"""The real runtime client of AWS Lambda runs the handler: it loads, answers, fails and logs as Lambda shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api_exchange_aws.sqs.inspector import SqsQueueInspector
from api_exchange_aws.sqs.queues import Queues
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.domain.names import QueueName
from api_exchange_testing.events import event
from packages.aws.tests.deployment import PREFIX, sqlite
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.poller import record_of
from packages.aws.tests.runtime.api import LambdaRuntime

pytest.importorskip("awslambdaric", reason="the runtime client is for Linux")

APP = """
import logging
from api_exchange_aws import create_lambda_handler
from api_exchange_core import Exchange, ProcessingResult, ProcessorInterface, QueueOutputHandler, Schedule

class Fetch(ProcessorInterface):
    def process(self, message, context):
        logging.getLogger("shop").info("fetching")
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result

exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
exchange.timer("fetch-orders", Schedule.every(minutes=5), Fetch)
handler = create_lambda_handler(exchange)
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = sqlite(tmp_path)
    engine: Engine = create_engine_for(url)
    migrate.upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture
def environment(database: str, ministack: Ministack) -> dict[str, str]:
    return {
        "API_EXCHANGE_DATABASE_URL": database,
        "API_EXCHANGE_QUEUE_PREFIX": PREFIX,
        "AWS_ENDPOINT_URL": ministack.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def test_a_tick_and_its_messages_go_through_the_runtime_client(
    tmp_path: Path, environment: dict[str, str], ministack: Ministack
) -> None:
    (tmp_path / "app.py").write_text(APP)
    client = ministack.client("sqs")
    for name in ("fetch-orders", "orders-fetched"):
        client.create_queue(QueueName=PREFIX + name)
    with LambdaRuntime(tmp_path, "app.handler", environment) as runtime:
        tick = runtime.invoke(event("aws/rule"))
        assert (tick.is_error, tick.document["tenants"]) == (False, 2), tick
        url = client.get_queue_url(QueueName=f"{PREFIX}fetch-orders")["QueueUrl"]
        received = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        )
        records = [record_of(f"{PREFIX}fetch-orders", one) for one in received["Messages"]]
        handled = runtime.invoke({"Records": records})
        assert handled.document == {"batchItemFailures": []}
        unknown = runtime.invoke({"detail-type": "Order Placed"})
        assert unknown.is_error
        assert unknown.document["errorType"] == "DeclarationError"
        assert "nothing here takes an event like this" in unknown.document["errorMessage"]
        alive = runtime.invoke({"api-exchange": {"chore": "relay-outbox"}})
        assert alive.document["count"] == 0
        log = runtime.log
    assert SqsQueueInspector(client, Queues(client, PREFIX)).depths()[QueueName("orders-fetched")] == 2
    lines = [json.loads(line) for line in log.splitlines() if '"event":"fetching"' in line]
    assert sorted(line["tenant_id"] for line in lines) == ["customer-a", "customer-b"], log
    assert log.count("fetching") == 2, "each line is written once"


def test_a_missing_setting_is_told_when_the_function_is_loaded(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    del environment["API_EXCHANGE_DATABASE_URL"]
    with LambdaRuntime(tmp_path, "app.handler", environment) as runtime:
        answered = runtime.invoke({})
    assert answered.is_error
    assert "API_EXCHANGE_DATABASE_URL_SECRET" in answered.document["errorMessage"]
