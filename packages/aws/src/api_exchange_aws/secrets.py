"""Secrets from AWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from typing_extensions import override

from api_exchange_aws.errors import DENIED, code_of, translated
from api_exchange_core.ports.secret_source import SecretSource

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

# GetSecretValue and GetParameter, "Errors". A secret that is marked for deletion is an InvalidRequestException.
_NONE: Final = frozenset(
    {"ResourceNotFoundException", "InvalidRequestException", "ParameterNotFound", "ParameterVersionNotFound"}
)


@dataclass(frozen=True, slots=True)
class SecretsManagerSecrets(SecretSource):
    """Secrets of AWS Secrets Manager, by name or ARN; the current version, text or binary.

    It takes the right ``secretsmanager:GetSecretValue``, and ``kms:Decrypt`` for a key of one's own.
    """

    client: SecretsManagerClient

    @override
    def secret(self, name: str) -> bytes:
        _check_named(name)
        with translated("secretsmanager:GetSecretValue", f"secret {name!r}"):
            try:
                answer = self.client.get_secret_value(SecretId=name)
            except ClientError as error:
                _check_known(error, "secretsmanager:GetSecretValue", f"secret {name!r} in Secrets Manager")
                raise
        text = answer.get("SecretString")
        return answer["SecretBinary"] if text is None else text.encode()


@dataclass(frozen=True, slots=True)
class ParameterStoreSecrets(SecretSource):
    """Secrets of the Parameter Store of AWS Systems Manager, by name or ARN, decrypted if they are SecureStrings.

    A parameter holds up to 4 KiB, and an advanced one 8 KiB.

    It takes the right ``ssm:GetParameter``, and ``kms:Decrypt`` for a key of one's own.
    """

    client: SSMClient

    @override
    def secret(self, name: str) -> bytes:
        _check_named(name)
        with translated("ssm:GetParameter", f"parameter {name!r}"):
            try:
                answer = self.client.get_parameter(Name=name, WithDecryption=True)
            except ClientError as error:
                _check_known(error, "ssm:GetParameter", f"parameter {name!r} in the Parameter Store")
                raise
        return answer["Parameter"]["Value"].encode()


@dataclass(frozen=True, slots=True)
class SecretsWhenAsked(SecretSource):
    """A source that is made when a secret is asked for: most starts of a function need none, and a client takes time.

    Args:
        source: makes it, once.
    """

    source: Callable[[], SecretSource]

    @override
    def secret(self, name: str) -> bytes:
        return self.source().secret(name)


def _check_known(error: ClientError, action: str, what: str) -> None:
    """Raise what the port says of a secret that is not to be had; return for any other error."""
    code = code_of(error)
    if code in _NONE:
        raise LookupError(f"there is no {what}, in this account and region ({code})") from error
    if code in DENIED:
        raise LookupError(
            f"this role may not read {what}: allow {action}, and kms:Decrypt for its key ({code})"
        ) from error


def _check_named(name: str) -> None:
    """Raise what the port says: the SDK refuses to ask for nothing."""
    if not name:
        raise LookupError(f"{name!r} is the name of no secret")
