"""Secrets of Secrets Manager and of the Parameter Store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api_exchange_aws.secrets import ParameterStoreSecrets, SecretsManagerSecrets
from api_exchange_testing.conformance import SecretSourceSuite
from api_exchange_testing.conformance.secret_source import Keep
from packages.aws.tests.stand_in import StandIn

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

SECRET = "Grüße, 日本語\n"


class TestSecretsManagerSecrets(SecretSourceSuite):
    @pytest.fixture
    def client(self, aws: StandIn) -> SecretsManagerClient:
        client: SecretsManagerClient = aws.client("secretsmanager")
        return client

    @pytest.fixture
    def source(self, client: SecretsManagerClient) -> SecretsManagerSecrets:
        return SecretsManagerSecrets(client)

    @pytest.fixture
    def keep(self, client: SecretsManagerClient) -> Keep:
        def keep(name: str, secret: bytes | None) -> None:
            if secret is None:
                client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
            elif any(one["Name"] == name for one in client.list_secrets()["SecretList"]):
                client.put_secret_value(SecretId=name, SecretString=secret.decode())
            else:
                client.create_secret(Name=name, SecretString=secret.decode())

        return keep


class TestParameterStoreSecrets(SecretSourceSuite):
    """Its parameters hold less than the suite's longest secret at AWS; the stand-in takes them."""

    @pytest.fixture
    def client(self, aws: StandIn) -> SSMClient:
        client: SSMClient = aws.client("ssm")
        return client

    @pytest.fixture
    def source(self, client: SSMClient) -> ParameterStoreSecrets:
        return ParameterStoreSecrets(client)

    @pytest.fixture
    def keep(self, client: SSMClient) -> Keep:
        def keep(name: str, secret: bytes | None) -> None:
            if secret is None:
                client.delete_parameter(Name=name)
            else:
                client.put_parameter(Name=name, Value=secret.decode(), Type="SecureString", Overwrite=True)

        return keep


def test_a_secret_is_the_text_that_was_stored_last(aws: StandIn) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name="shop/key", SecretString="old")
    client.put_secret_value(SecretId="shop/key", SecretString=SECRET)
    assert SecretsManagerSecrets(client).secret("shop/key") == SECRET.encode()


def test_a_secret_may_be_bytes(aws: StandIn) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name="shop/key", SecretBinary=b"\x00\xff\n")
    assert SecretsManagerSecrets(client).secret("shop/key") == b"\x00\xff\n"


@pytest.mark.parametrize("kind", ["SecureString", "String"])
def test_a_parameter_is_decrypted(aws: StandIn, kind: str) -> None:
    client = aws.client("ssm")
    client.put_parameter(Name="/shop/key", Value=SECRET, Type=kind)
    assert ParameterStoreSecrets(client).secret("/shop/key") == SECRET.encode()


def test_what_is_not_there_is_told_with_where_it_was_looked_for(aws: StandIn) -> None:
    with pytest.raises(LookupError, match="no secret 'shop/key' in Secrets Manager"):
        SecretsManagerSecrets(aws.client("secretsmanager")).secret("shop/key")
    with pytest.raises(LookupError, match="no parameter '/shop/key' in the Parameter Store"):
        ParameterStoreSecrets(aws.client("ssm")).secret("/shop/key")
