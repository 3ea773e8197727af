"""Clients of AWS: timeouts and retries.

Region, credentials and endpoints (``AWS_ENDPOINT_URL``) are botocore's own to find, as for boto3, whose clients these
are. boto3 itself is not loaded: what it adds, resources and transfers of files, takes time and serves nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from api_exchange_core.domain.errors import DeclarationError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session
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


def sqs_client(session: Session) -> SQSClient:
    """A client of SQS.

    Args:
        session: what it has read of AWS's endpoints serves all clients that are made of it.

    Raises:
        DeclarationError: no region is configured, or the configuration cannot be read.
    """
    return cast("SQSClient", _client(session, "sqs", "SQS"))


def dynamodb_client(session: Session) -> DynamoDBClient:
    """A client of DynamoDB; as `sqs_client`."""
    return cast("DynamoDBClient", _client(session, "dynamodb", "DynamoDB"))


def secrets_manager_client(session: Session) -> SecretsManagerClient:
    """A client of Secrets Manager; as `sqs_client`."""
    return cast("SecretsManagerClient", _client(session, "secretsmanager", "Secrets Manager"))


def ssm_client(session: Session) -> SSMClient:
    """A client of the Parameter Store; as `sqs_client`."""
    return cast("SSMClient", _client(session, "ssm", "the Parameter Store"))


def s3_client(session: Session) -> S3Client:
    """A client of S3; as `sqs_client`."""
    return cast("S3Client", _client(session, "s3", "S3"))


def kms_client(session: Session) -> KMSClient:
    """A client of KMS; as `sqs_client`."""
    return cast("KMSClient", _client(session, "kms", "KMS"))


def rds_client(session: Session) -> TokenSigner:
    """A client that signs for RDS; as `sqs_client`."""
    return cast("TokenSigner", _client(session, "rds", "RDS"))


def lambda_client(session: Session) -> Any:
    """A client of Lambda; as `sqs_client`."""
    return _client(session, "lambda", "Lambda")


def _client(session: Session, service: str, called: str) -> BaseClient:
    try:
        return session.create_client(service, config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise DeclarationError(
            f"no client of {called} could be made: {error} Lambda sets AWS_REGION by itself; elsewhere set "
            "AWS_DEFAULT_REGION, or a profile"
        ) from error
