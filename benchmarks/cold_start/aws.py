"""The functions of infra/aws, and a handler with AWS Lambda Powertools: batch, idempotency and logger."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.cold_start.candidate import Candidate
from infra.aws.package import ORDERS
from infra.packaging import Platform, pack

_LOCK: Final = Path(__file__).parent / "powertools.lock"

_POWERTOOLS: Final = """
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function

logger = Logger(service="orders")
processor = BatchProcessor(event_type=EventType.SQS)
store = DynamoDBPersistenceLayer(table_name="orders-done")
config = IdempotencyConfig(event_key_jmespath="messageId")


@idempotent_function(data_keyword_argument="record", persistence_store=store, config=config)
def handle(record):
    logger.info("handled")


def handler(event, context):
    return process_partial_response(event, lambda one: handle(record=one), processor, context)
"""

_ENVIRONMENT: Final = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "API_EXCHANGE_DATABASE_URL": "postgresql://user@127.0.0.1:9/orders",
    "API_EXCHANGE_TOKEN_TABLE": "orders-tokens",
    "ORDERS_SHOP_URL": "http://127.0.0.1:9",
}


def candidates(folder: Path) -> Sequence[Candidate]:
    """Both as their zips, unpacked as Lambda unpacks them: with bytecode, which ours brings along."""
    platform = Platform(f"{sys.version_info.major}.{sys.version_info.minor}")
    ours, theirs = folder / "ours.zip", folder / "theirs.zip"
    ORDERS.write(ours, platform)
    _package_powertools(folder / "powertools", theirs, platform)
    return [
        Candidate.of("aws-lambda-powertools, boto3", theirs, "import handler", _ENVIRONMENT),
        Candidate.of("api-exchange-aws, examples/orders", ours, "import lambda_app", _ENVIRONMENT),
    ]


def _package_powertools(content: Path, target: Path, platform: Platform) -> None:
    """As ours is packed: the same wheels, the same services of AWS, bytecode."""
    subprocess.run(
        [
            sys.executable, "-m", "uv", "pip", "install", "--quiet", "--require-hashes", "-r", _LOCK,
            "--target", content, *platform.of_wheels,
        ],
        check=True,
    )  # fmt: skip
    (content / "handler.py").write_text(_POWERTOOLS)
    pack(content, target, platform, unpacked=ORDERS.unpacked)
