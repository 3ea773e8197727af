"""The template of infra/aws: it is sound, and deployed on the stand-in it carries an order to the last queue."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from infra.aws.package import ORDERS
from packages.aws.tests.ministack.environment import python
from packages.aws.tests.ministack.server import Ministack

TEMPLATE = Path(__file__).parents[3] / "infra" / "aws" / "template.yaml"
LONGEST = 240.0
ORDER = {
    "id": "o-1",
    "customer": "c-1",
    "placed_on": "1997-01-01",
    "cds": 2,
    "total": "29.33",
    "currency": "USD",
}


def test_cfn_lint_finds_nothing(ministack_server: Ministack) -> None:
    lint = python().with_name("cfn-lint")
    done = subprocess.run([lint, TEMPLATE, "-r", "eu-west-1"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_the_stack_carries_an_order_to_the_last_queue_and_poison_to_the_dead_letters(
    ministack: Ministack, postgres_url: str
) -> None:
    engine = create_engine_for(postgres_url)
    migrate.upgrade(engine)
    engine.dispose()
    deploy(ministack, postgres_url)
    send(ministack, "intake", ORDER)
    sqs = ministack.client("sqs")
    url = sqs.get_queue_url(QueueName="orders-orders-canonical")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    last = {"orders-express-orders", "orders-standard-orders", "orders-unknown-orders"}
    deadline = time.monotonic() + LONGEST
    while True:
        filled = {name for name, depth in depths(ministack).items() if depth}
        if filled & last and "orders-orders-canonical-dlq" in filled:
            break
        assert time.monotonic() < deadline, filled
        time.sleep(0.5)  # a real queue, a real process, and nothing that could be waited for
    assert filled <= {*last, "orders-orders-canonical-dlq"}


@pytest.mark.slow
def test_the_same_sources_are_the_same_bytes() -> None:
    first = ORDERS.write().read_bytes()
    assert ORDERS.write().read_bytes() == first


def deploy(aws: Ministack, database_url: str) -> None:
    s3, secrets = aws.client("s3"), aws.client("secretsmanager")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.upload_file(str(ORDERS.write()), "code", "orders.zip")
    given = {
        "CodeBucket": "code",
        "CodeKey": "orders.zip",
        "DatabaseUrlSecret": secrets.create_secret(Name="url", SecretString=database_url)["ARN"],
        "KeysSecret": secrets.create_secret(Name="keys", SecretString=new_entry("test"))["ARN"],
        "ShopUrl": "http://127.0.0.1:9",
    }
    stacks = aws.client("cloudformation")
    stacks.create_stack(
        StackName="orders",
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stacks.get_waiter("stack_create_complete").wait(StackName="orders", WaiterConfig={"Delay": 1})


def send(aws: Ministack, function: str, payload: object) -> None:
    order = {"send": function, "tenant": "customer-a", "payload": payload}
    answer = aws.client("lambda").invoke(
        FunctionName=f"orders-{function}", Payload=json.dumps({"api-exchange": order})
    )
    assert answer.get("FunctionError") is None, answer["Payload"].read()


def depths(aws: Ministack) -> Mapping[str, int]:
    sqs: Any = aws.client("sqs")
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = {}
    for url in sqs.list_queues()["QueueUrls"]:
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
        found[url.rpartition("/")[2]] = sum(int(told[one]) for one in counts)
    return found
