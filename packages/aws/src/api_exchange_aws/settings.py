"""The settings of an exchange on AWS."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api_exchange_core.adapters.crypto.aes_gcm import KEYRING
from api_exchange_core.containers.wrong_settings import wrong_settings

BUCKET: Final = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
"""Of a general purpose bucket ("Bucket naming rules", Amazon S3)."""
LARGEST_WHOLE: Final = 960 * 1024
"""SQS takes 1 MiB, attributes included: properties, trace and notes have the rest."""


class AwsSettings(BaseSettings):
    """Each from an environment variable ``API_EXCHANGE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="API_EXCHANGE_", frozen=True)

    database_url: SecretStr | None = Field(
        default=None, description="postgresql://USER:PASSWORD@HOST/NAME, of a server or of RDS Proxy"
    )
    database_url_secret: str | None = Field(
        default=None,
        description="Name or ARN of the secret in Secrets Manager that holds the URL, in its place",
    )
    database_identity: bool = Field(
        default=False,
        description="The database knows this function by its role (IAM): the URL has no password, and a token is made "
        "for each connection",
    )
    keys_secret: str = Field(
        default=KEYRING,
        description="Name or ARN of the secret in Secrets Manager that holds the keys that tokens and credentials "
        "are sealed with",
    )
    keys_encrypted: SecretStr | None = Field(
        default=None,
        description="The keys themselves in its place, as a key of KMS has encrypted them, in base64",
    )
    secrets: Literal["secretsmanager", "parameterstore"] = Field(
        default="secretsmanager", description="Which service the secrets are in that other settings name"
    )
    token_table: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.-]{3,255}$",
        description="Table of DynamoDB that keeps tokens; without it they are in the database",
    )
    payload_bucket: str | None = Field(
        default=None,
        pattern=BUCKET,
        description="Bucket of S3 for contents of large messages; without it messages travel whole",
    )
    message_limit: int = Field(
        default=256 * 1024,
        ge=16 * 1024,
        le=LARGEST_WHOLE,
        description="Bytes of the largest message that SQS carries whole, where there is a bucket",
    )
    queue_prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]{0,12}$",
        description="What the names of this deployment's queues, rules and schedules begin with",
    )
    output_folder: Path | None = Field(
        default=None, description="Where FileOutputHandler keeps its files: a mounted file system that lasts"
    )
    output_bucket: str | None = Field(
        default=None,
        pattern=BUCKET,
        description="Bucket of S3 where FileOutputHandler keeps its files in parts, in place of a folder",
    )
    reserve: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Seconds before its timeout from which a function begins nothing more; a fifth of it at most",
    )
    metrics_namespace: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._#:/-]{0,255}$",
        description="Namespace in CloudWatch of metrics that are written into the logs; none are if it is empty",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level of what is logged"
    )
    poll_wait: float = Field(
        default=10.0, ge=0, le=20, description="Seconds that a receive may wait for messages, in a container"
    )

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if (self.database_url is None) == (self.database_url_secret is None):
            raise ValueError("set one of API_EXCHANGE_DATABASE_URL and API_EXCHANGE_DATABASE_URL_SECRET")
        return self

    @model_validator(mode="after")
    def _one_place_for_files(self) -> Self:
        if self.output_folder is not None and self.output_bucket is not None:
            raise ValueError("set one of API_EXCHANGE_OUTPUT_FOLDER and API_EXCHANGE_OUTPUT_BUCKET")
        if self.output_bucket is not None and self.output_bucket == self.payload_bucket:
            raise ValueError(
                "API_EXCHANGE_OUTPUT_BUCKET and API_EXCHANGE_PAYLOAD_BUCKET are two buckets: contents go by age"
            )
        return self

    @property
    def reserved(self) -> timedelta:
        """`reserve` as a time."""
        return timedelta(seconds=self.reserve)


def settings_from_environment(database_url: str | None = None) -> AwsSettings:
    """The settings of this process.

    Args:
        database_url: takes the place of what the environment says of the database.

    Raises:
        DeclarationError: one is missing or wrong; says which, and no value.
    """
    try:
        if database_url is not None:
            return AwsSettings(database_url=SecretStr(database_url), database_url_secret=None)
        return AwsSettings()
    except ValidationError as error:
        raise wrong_settings(error) from None
