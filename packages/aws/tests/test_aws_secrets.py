"""Secrets of Secrets Manager and of the Parameter Store."""

from __future__ import annotations

import pytest

from api_exchange_aws.secrets import ParameterStoreSecrets, SecretsManagerSecrets
from packages.aws.tests.ministack.server import Ministack

SECRET = "Grüße, 日本語\n"


def test_a_secret_is_the_text_that_was_stored_last(ministack: Ministack) -> None:
    client = ministack.client("secretsmanager")
    client.create_secret(Name="shop/key", SecretString="old")
    client.put_secret_value(SecretId="shop/key", SecretString=SECRET)
    assert SecretsManagerSecrets(client).secret("shop/key") == SECRET.encode()


def test_a_secret_may_be_bytes(ministack: Ministack) -> None:
    client = ministack.client("secretsmanager")
    client.create_secret(Name="shop/key", SecretBinary=b"\x00\xff\n")
    assert SecretsManagerSecrets(client).secret("shop/key") == b"\x00\xff\n"


@pytest.mark.parametrize("kind", ["SecureString", "String"])
def test_a_parameter_is_decrypted(ministack: Ministack, kind: str) -> None:
    client = ministack.client("ssm")
    client.put_parameter(Name="/shop/key", Value=SECRET, Type=kind)
    assert ParameterStoreSecrets(client).secret("/shop/key") == SECRET.encode()


def test_what_is_not_there_is_told_with_where_it_was_looked_for(ministack: Ministack) -> None:
    with pytest.raises(LookupError, match="no secret 'shop/key' in Secrets Manager"):
        SecretsManagerSecrets(ministack.client("secretsmanager")).secret("shop/key")
    with pytest.raises(LookupError, match="no parameter '/shop/key' in the Parameter Store"):
        ParameterStoreSecrets(ministack.client("ssm")).secret("/shop/key")
