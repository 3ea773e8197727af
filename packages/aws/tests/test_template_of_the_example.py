"""The template of infra/aws: it is sound, and deployed on the stand-in it carries orders to the last queue."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers

from api_exchange_aws.containers import aws_container
from api_exchange_aws.secrets import SecretsManagerSecrets
from api_exchange_aws.settings import AwsSettings
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.application.administer_credentials import KeepCredentials
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
from examples.orders.story import keep_accounts
from examples.orders.vendor import VendorApi
from infra.aws.package import ORDERS
from infra.packaging import Platform
from packages.aws.tests.ministack.environment import python
from packages.aws.tests.ministack.server import REGION, Ministack

INFRA = Path(__file__).parents[3] / "infra" / "aws"
TEMPLATE = INFRA / "template.yaml"
HERE = Platform(
    f"{sys.version_info.major}.{sys.version_info.minor}",
    "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64",
)
"""The stand-in runs functions in this Python."""

LONGEST = 200.0
LAST = ("orders-express-orders", "orders-standard-orders", "orders-unknown-orders")
POISONED = "orders-orders-canonical-dlq"
ORDER = {
    "id": "o-1",
    "customer": "c-1",
    "placed_on": "1997-01-01",
    "cds": 2,
    "total": "29.33",
    "currency": "USD",
}


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda loads."""
    target = tmp_path_factory.mktemp("code") / "orders-aws.zip"
    ORDERS.write(target, HERE)
    return target


def test_cfn_lint_finds_nothing(ministack_server: Ministack) -> None:
    lint = python().with_name("cfn-lint")
    done = subprocess.run([lint, TEMPLATE, "-r", REGION], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
@pytest.mark.timeout(300)  # the code is packed first
def test_from_its_schedule_orders_come_to_the_last_queue_and_poison_to_the_dead_letters(
    ministack: Ministack, postgres_url: str, code: Path
) -> None:
    with VendorApi(orders=2) as vendor:
        deploy_as_the_readme_says(ministack, postgres_url, code, vendor)
        send(ministack, "intake", ORDER)
        sqs = ministack.client("sqs")
        url = sqs.get_queue_url(QueueName="orders-orders-canonical")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="poison")
        ministack.advance(timedelta(minutes=5))  # rate(5 minutes) of fetch-orders
        deadline = time.monotonic() + LONGEST
        while arrived(filled := depths(ministack)) != (1 + 2 + 2, 1) or not set(filled) <= {*LAST, POISONED}:
            assert time.monotonic() < deadline, filled
            time.sleep(0.2)  # real queues, real processes, and nothing that could be waited for


@pytest.mark.slow
def test_the_same_sources_are_the_same_bytes(code: Path, tmp_path: Path) -> None:
    ORDERS.write(tmp_path / "again.zip", HERE)
    assert (tmp_path / "again.zip").read_bytes() == code.read_bytes()


def deploy_as_the_readme_says(aws: Ministack, database_url: str, code: Path, vendor: VendorApi) -> None:
    """Run what stands there, with the names that a reader fills in."""
    secrets = aws.client("secretsmanager")
    url = secrets.create_secret(Name="url", SecretString=database_url)["ARN"]
    keys = secrets.create_secret(Name="keys", SecretString=new_entry("test"))["ARN"]
    prepare(aws, database_url, keys, vendor)
    aws.client("s3").create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    written = re.findall(r"```\n(.*?)```", (INFRA / "README.md").read_text(), re.DOTALL)[0]
    make, commands = written.split("\n", 1)
    assert make == "make package-aws"
    for name, value in {
        "dist/orders-aws.zip": code,
        "infra/aws/template.yaml": TEMPLATE,
        "BUCKET": "code",
        "DatabaseUrlSecret=ARN": f"DatabaseUrlSecret={url}",
        "KeysSecret=ARN": f"KeysSecret={keys}",
        "https://shop.example": f"{vendor.url} Python=python{HERE.python} Architecture={HERE.architecture}",
    }.items():
        assert name in commands
        commands = commands.replace(name, str(value))
    done = subprocess.run(
        ["sh", "-ec", commands], check=False, capture_output=True, text=True, env=environment(aws)
    )
    assert done.returncode == 0, done.stdout + done.stderr


def environment(aws: Ministack) -> dict[str, str]:
    """Of the AWS CLI, which is beside the stand-in, and nothing of whoever runs the tests."""
    return {
        "PATH": f"{python().parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def prepare(aws: Ministack, database_url: str, keys: str, vendor: VendorApi) -> None:
    """Migrate the database, and give the tenants their accounts at the shop."""
    exchange = declare(OrdersContainer(shop_url=vendor.url))
    settings = AwsSettings.model_validate({"database_url": database_url, "keys_secret": keys})
    container = aws_container(exchange, settings)
    container.secrets.override(providers.Object(SecretsManagerSecrets(aws.client("secretsmanager"))))
    tenants, clock = container.tenants(), container.clock()
    migrate.upgrade(container.engine())
    tenants.add(exchange.tenants, now=clock.now())
    keep = KeepCredentials(container.credentials(), container.sealer(), tenants, clock)
    keep_accounts(keep, vendor, exchange.tenants)
    container.engine().dispose()


def send(aws: Ministack, function: str, payload: object) -> None:
    order = {"send": function, "tenant": "customer-a", "payload": payload}
    answer = aws.client("lambda").invoke(
        FunctionName=f"orders-{function}", Payload=json.dumps({"api-exchange": order})
    )
    assert answer.get("FunctionError") is None, answer["Payload"].read()


def arrived(filled: Mapping[str, int]) -> tuple[int, int]:
    """How many messages are in the last queues, and how many dead letters."""
    return sum(filled.get(name, 0) for name in LAST), filled.get(POISONED, 0)


def depths(aws: Ministack) -> Mapping[str, int]:
    """How many messages are in the queues that have any."""
    sqs: Any = aws.client("sqs")
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = {}
    for url in sqs.list_queues()["QueueUrls"]:
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
        found[url.rpartition("/")[2]] = sum(int(told[one]) for one in counts)
    return {name: depth for name, depth in found.items() if depth}
