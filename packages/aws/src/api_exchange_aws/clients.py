"""Clients of AWS: timeouts and retries.

Region, credentials and endpoints (``AWS_ENDPOINT_URL``) are boto3's own to find.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from api_exchange_core.domain.errors import DeclarationError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

    from api_exchange_aws.database_password import TokenSigner

LONGEST_POLL: Final = 20
"""Seconds; SQS ReceiveMessage, WaitTimeSeconds."""

_CONFIG: Final = Config(
    connect_timeout=3,
    read_timeout=LONGEST_POLL + 10,
    retries={"mode": "standard", "total_max_attempts": 4},  # throttled and failed requests are sent again
    max_pool_connections=20,
    user_agent_extra="api-exchange",
)


def sqs_client() -> SQSClient:
    """A client of SQS.

    Raises:
        DeclarationError: no region is configured, or the configuration cannot be read.
    """
    try:
        return boto3.client("sqs", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("SQS", error) from error


def dynamodb_client() -> DynamoDBClient:
    """A client of DynamoDB; errors as of `sqs_client`."""
    try:
        return boto3.client("dynamodb", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("DynamoDB", error) from error


def secrets_manager_client() -> SecretsManagerClient:
    """A client of Secrets Manager; errors as of `sqs_client`."""
    try:
        return boto3.client("secretsmanager", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("Secrets Manager", error) from error


def ssm_client() -> SSMClient:
    """A client of the Parameter Store; errors as of `sqs_client`."""
    try:
        return boto3.client("ssm", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("the Parameter Store", error) from error


def s3_client() -> S3Client:
    """A client of S3; errors as of `sqs_client`."""
    try:
        return boto3.client("s3", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("S3", error) from error


def kms_client() -> KMSClient:
    """A client of KMS; errors as of `sqs_client`."""
    try:
        return boto3.client("kms", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("KMS", error) from error


def rds_client() -> TokenSigner:
    """A client that signs for RDS; errors as of `sqs_client`."""
    try:
        signer: TokenSigner = boto3.client("rds", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("RDS", error) from error
    return signer


def lambda_client() -> Any:
    """A client of Lambda; errors as of `sqs_client`."""
    try:
        return boto3.client("lambda", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise _unmade("Lambda", error) from error


def _unmade(service: str, error: Exception) -> DeclarationError:
    return DeclarationError(
        f"no client of {service} could be made: {error} Lambda sets AWS_REGION by itself; elsewhere set "
        "AWS_DEFAULT_REGION, or a profile"
    )
