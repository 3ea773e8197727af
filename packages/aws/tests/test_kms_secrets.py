"""Keys to seal with that are deployed as ciphertext of KMS."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from dependency_injector import providers
from pydantic import SecretStr

from api_exchange_aws.containers import AwsContainer, aws_container
from api_exchange_aws.kms_secrets import KmsSecrets
from api_exchange_aws.settings import AwsSettings
from api_exchange_core import DeclarationError, Exchange, TransientError
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.ports.sealer import key_id_of
from api_exchange_testing.conformance import SecretSourceSuite
from api_exchange_testing.conformance.secret_source import Keep
from packages.aws.tests.answering import answering, error
from packages.aws.tests.ministack.server import Ministack
from packages.aws.tests.stand_in import StandIn

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

NAME = "API_EXCHANGE_KEYS"
CONTEXT = {"secret": NAME}


@pytest.fixture
def client(aws: StandIn) -> KMSClient:
    client: KMSClient = aws.client("kms")
    return client


@pytest.fixture
def key(client: KMSClient) -> str:
    return client.create_key()["KeyMetadata"]["KeyId"]


def encrypted(client: KMSClient, key: str, secret: bytes, context: dict[str, str] | None = None) -> str:
    """What ``aws kms encrypt --query CiphertextBlob --output text`` prints."""
    context = CONTEXT if context is None else context
    answer = client.encrypt(KeyId=key, Plaintext=secret, EncryptionContext=context)
    return b64encode(answer["CiphertextBlob"]).decode()


class TestKmsSecrets(SecretSourceSuite):
    """KMS encrypts less than the suite's longest secrets at AWS, and at moto; this stand-in takes them."""

    @pytest.fixture
    def client(self, ministack: Ministack) -> KMSClient:
        client: KMSClient = ministack.client("kms")
        return client

    @pytest.fixture
    def kept(self) -> dict[str, str]:
        return {}

    @pytest.fixture
    def source(self, client: KMSClient, kept: dict[str, str]) -> KmsSecrets:
        return KmsSecrets(client, kept)

    @pytest.fixture
    def keep(self, client: KMSClient, key: str, kept: dict[str, str]) -> Keep:
        def keep(name: str, secret: bytes | None) -> None:
            if secret is None:
                del kept[name]
            else:
                kept[name] = encrypted(client, key, secret, {"secret": name})

        return keep


def container(client: KMSClient | None, ciphertext: str, name: str = NAME) -> AwsContainer:
    settings = AwsSettings(
        database_url=SecretStr("postgresql://h/n"), keys_encrypted=SecretStr(ciphertext), keys_secret=name
    )
    made = aws_container(Exchange("shop"), settings)
    made.kms.override(providers.Object(client))
    return made


def test_tokens_are_sealed_with_keys_that_kms_has_decrypted(client: KMSClient, key: str) -> None:
    entry = new_entry("first")
    deployed = container(client, encrypted(client, key, entry.encode()))
    sealed = deployed.sealer().seal(b"secret", bound_to=["customer-a"])
    assert key_id_of(sealed) == "first"
    assert deployed.sealer().unseal(sealed, bound_to=["customer-a"]) == b"secret"
    assert entry not in repr(deployed.settings())


def test_kms_is_asked_once(client: KMSClient, key: str) -> None:
    source = KmsSecrets(client, {NAME: encrypted(client, key, b"secret")})
    assert source.secret(NAME) == b"secret"
    client.disable_key(KeyId=key)
    assert source.secret(NAME) == b"secret"


def test_a_key_that_is_disabled_is_told(client: KMSClient, key: str) -> None:
    ciphertext = encrypted(client, key, b"secret")
    client.disable_key(KeyId=key)
    with pytest.raises(LookupError, match=r"'API_EXCHANGE_KEYS'.*key is disabled: enable it"):
        KmsSecrets(client, {NAME: ciphertext}).secret(NAME)


def test_keys_of_another_name_are_not_decrypted(client: KMSClient, key: str) -> None:
    deployed = container(
        client, encrypted(client, key, new_entry("first").encode()), name="another-shop/keys"
    )
    with pytest.raises(
        DeclarationError, match=r"'secret': 'another-shop/keys'.*encrypt it anew with exactly this context"
    ):
        deployed.sealer().seal(b"secret", bound_to=["customer-a"])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("AccessDeniedException", "may not decrypt.*allow kms:Decrypt"),
        ("NotFoundException", "key is not there"),
        ("KMSInvalidStateException", "to be deleted"),
    ],
)
def test_what_kms_refuses_is_told_with_what_mends_it(code: str, says: str) -> None:
    with answering({"Decrypt": error(code)}) as url, pytest.raises(LookupError, match=says):
        KmsSecrets(client_at(url), {NAME: "AAAA"}).secret(NAME)


@pytest.mark.parametrize("code", ["KMSInternalException", "KeyUnavailableException", "ThrottlingException"])
def test_what_passes_by_itself_is_transient(code: str) -> None:
    with answering({"Decrypt": error(code)}) as url, pytest.raises(TransientError, match="kms:Decrypt"):
        KmsSecrets(client_at(url), {NAME: "AAAA"}).secret(NAME)


def test_what_is_no_base64_is_refused_and_not_shown() -> None:
    with pytest.raises(LookupError, match="no base64") as refused:
        KmsSecrets(client_at("http://127.0.0.1:9"), {NAME: "hunter2Zq81!"}).secret(NAME)
    assert "hunter2" not in str(refused.value)


def client_at(url: str) -> KMSClient:
    return boto3.client(
        "kms",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
