"""Tokens of IAM as passwords: a real PostgreSQL is given them, in the form that RDS takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from dependency_injector import providers
from sqlalchemy import URL, Engine, make_url, text

from api_exchange_aws.containers import aws_container
from api_exchange_aws.database_password import IamDatabasePassword
from api_exchange_aws.settings import AwsSettings
from api_exchange_core import DeclarationError, Exchange, TransientError
from api_exchange_core.adapters.sql.engine import reading
from api_exchange_testing.postgres import PostgresServer
from packages.core.tests.adapters.sql.password_server import PasswordServer, password_server

HOST = "shop.proxy-abc123.eu-west-1.rds.amazonaws.com"
SECRET_KEY = "hunter2Zq81"


@pytest.fixture
def server(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PasswordServer]:
    with password_server(postgres_server, tmp_path_factory.mktemp("front"), HOST) as running:
        yield running


def password(region: str = "us-east-1") -> IamDatabasePassword:
    client = boto3.client(
        "rds", region_name=region, aws_access_key_id="AKIA", aws_secret_access_key=SECRET_KEY
    )
    return IamDatabasePassword(client)


@dataclass(slots=True)
class Rds:
    """Lets in whoever has a token that was signed for it, as RDS does; the signature is not for us to check."""

    server: PasswordServer
    signed: IamDatabasePassword = field(default_factory=password)

    def __call__(self, url: URL) -> str:
        token = self.signed(url)
        self.server.set_password(token)
        return token


def engine_of(url: str, made: object) -> Engine:
    container = aws_container(
        Exchange("shop"), AwsSettings.model_validate({"database_url": url, "database_identity": True})
    )
    container.database_password.override(providers.Object(made))
    return container.engine()


def test_each_connection_gives_the_database_a_token_that_is_signed_for_its_endpoint(
    server: PasswordServer,
) -> None:
    engine = engine_of(server.url(HOST, sslrootcert=server.certificate), Rds(server))
    with reading(engine), reading(engine) as second:
        assert second.execute(text("select current_user")).scalar() == server.user
    engine.dispose()
    assert len(server.given) == 2
    for token in server.given:
        signed = urlsplit(f"https://{token}")
        said = {name: value for name, [value] in parse_qs(signed.query).items()}
        assert signed.netloc == f"{HOST}:{server.port}"
        assert (said["Action"], said["DBUser"], said["X-Amz-Expires"]) == ("connect", server.user, "900")
        assert said["X-Amz-Credential"].endswith("/eu-west-1/rds-db/aws4_request")
        assert SECRET_KEY not in token


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("shop.abc123.eu-west-1.rds.amazonaws.com", "eu-west-1"),
        ("shop.cluster-abc123.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2"),
        ("shop.abc123.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("database.shop.example", "us-east-1"),
    ],
)
def test_a_token_is_for_the_region_of_the_endpoint_wherever_the_function_runs(host: str, region: str) -> None:
    token = password("us-east-1")(make_url(f"postgresql://app@{host}/shop"))
    assert token.startswith(f"{host}:5432/?")
    assert f"%2F{region}%2Frds-db%2F" in token


def test_without_credentials_the_error_says_so_and_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    settings = AwsSettings.model_validate(
        {"database_url": f"postgresql://app@{HOST}/shop", "database_identity": True}
    )
    engine = aws_container(Exchange("shop"), settings).engine()
    with pytest.raises(TransientError, match=rf"{HOST}.*Unable to locate credentials"), reading(engine):
        pass


def test_a_password_in_the_url_is_refused_where_tokens_are_made() -> None:
    with pytest.raises(DeclarationError, match="take it out of the URL"):
        engine_of(f"postgresql://app:{SECRET_KEY}@{HOST}/shop", password())
