"""Settings, wiring and metrics of an exchange on AWS."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dependency_injector import providers
from pydantic import SecretStr

from api_exchange_aws.containers import AwsContainer, aws_container
from api_exchange_aws.dynamodb.token_store import DynamoDbTokenStore
from api_exchange_aws.emf import EmfObserver
from api_exchange_aws.secrets import SecretsManagerSecrets
from api_exchange_aws.settings import AwsSettings, settings_from_environment
from api_exchange_core import DeclarationError, Exchange, PermanentError
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.files.file_sink import LocalFileSink
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.domain.api_token import TokenKey
from api_exchange_core.domain.erasure import Subject
from api_exchange_core.domain.names import EntityId, TenantId
from api_exchange_core.ports.observer import Handled, Outcome
from api_exchange_core.ports.sealer import key_id_of
from api_exchange_core.ports.token_store import Takeover
from api_exchange_testing import RecordingObserver, VirtualClock, VirtualSleeper
from api_exchange_testing.conformance import ObserverSuite
from packages.aws.tests.ministack.server import REGION, Ministack
from packages.aws.tests.token_table import lasting_token_table

URL = "postgresql://user:secret@host/exchange"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AwsSettings.model_fields:
        monkeypatch.delenv(f"API_EXCHANGE_{name.upper()}", raising=False)


def container(**settings: object) -> AwsContainer:
    given = {"database_url": SecretStr(URL), **settings}
    return aws_container(Exchange("shop"), AwsSettings.model_validate(given))


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", URL)
    monkeypatch.setenv("API_EXCHANGE_QUEUE_PREFIX", "prod-")
    monkeypatch.setenv("API_EXCHANGE_RESERVE", "4.5")
    settings = settings_from_environment()
    assert (settings.queue_prefix, settings.reserved) == ("prod-", timedelta(seconds=4.5))
    assert "user:secret" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "set one of API_EXCHANGE_DATABASE_URL and API_EXCHANGE_DATABASE_URL_SECRET"),
        ({"DATABASE_URL": URL, "DATABASE_URL_SECRET": "name"}, "set one of"),
        ({"DATABASE_URL": URL, "QUEUE_PREFIX": "a prefix"}, "API_EXCHANGE_QUEUE_PREFIX: "),
        ({"DATABASE_URL": URL, "RESERVE": "-1"}, "API_EXCHANGE_RESERVE: "),
        (
            {"DATABASE_URL": URL, "OUTPUT_FOLDER": "/x", "OUTPUT_BUCKET": "files"},
            "set one of .*OUTPUT_BUCKET",
        ),
        ({"DATABASE_URL": URL, "PAYLOAD_BUCKET": "one", "OUTPUT_BUCKET": "one"}, "are two buckets"),
        ({"DATABASE_URL": URL, "PAYLOAD_BUCKET": "s3://one"}, "API_EXCHANGE_PAYLOAD_BUCKET: "),
    ],
)
def test_wrong_settings_are_told_by_their_names_and_without_their_values(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"API_EXCHANGE_{name}", value)
    with pytest.raises(DeclarationError, match=said) as raised:
        settings_from_environment()
    assert "secret@" not in str(raised.value)


def test_the_url_of_the_database_may_be_a_secret(ministack: Ministack) -> None:
    client = ministack.client("secretsmanager")
    client.create_secret(Name="shop/database", SecretString=f"{URL}\n")
    deployed = container(database_url=None, database_url_secret="shop/database")
    deployed.secrets.override(providers.Object(SecretsManagerSecrets(client)))
    engine = deployed.engine()
    assert (engine.url.host, engine.url.password) == ("host", "secret")
    engine.dispose()


def test_secrets_may_be_in_the_parameter_store(ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> None:
    ministack.client("ssm").put_parameter(Name="/shop/database", Value=URL, Type="SecureString")
    for name, value in ministack.environment.items():
        monkeypatch.setenv(name, value)
    deployed = container(database_url=None, database_url_secret="/shop/database", secrets="parameterstore")
    engine = deployed.engine()
    assert (engine.url.host, engine.url.password) == ("host", "secret")
    engine.dispose()


def test_no_client_is_made_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region none could be."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    deployed = container()
    deployed.engine().dispose()
    with pytest.raises(DeclarationError, match=r"no client of SQS could be made.*region"):
        deployed.sqs()


def test_files_are_refused_unless_a_folder_is_mounted(tmp_path: Path) -> None:
    tenant = TenantId("customer-a")
    with pytest.raises(PermanentError, match="set API_EXCHANGE_OUTPUT_BUCKET, or API_EXCHANGE_OUTPUT_FOLDER"):
        container().files().append(tenant, "orders.jsonl", [b"{}"])
    assert container().files().erase(tenant) == 0
    assert isinstance(container(output_folder=tmp_path).files(), LocalFileSink)


def test_tokens_are_in_the_database_unless_a_table_is_named(ministack: Ministack) -> None:
    assert isinstance(container().token_store(), SqlTokenStore)
    deployed = container(token_table="shop-tokens")
    deployed.dynamodb.override(providers.Object(ministack.client("dynamodb")))
    store = deployed.token_store()
    assert isinstance(store, DynamoDbTokenStore)
    assert store.table == "shop-tokens"


def test_a_tenant_that_is_erased_loses_its_tokens_and_contents_as_well(
    ministack: Ministack, tmp_path: Path
) -> None:
    client = ministack.client("dynamodb")
    lasting_token_table(client, "shop-tokens")
    s3 = ministack.client("s3")
    s3.create_bucket(Bucket="shop-contents", CreateBucketConfiguration={"LocationConstraint": REGION})
    deployed = container(
        database_url=f"sqlite:///{tmp_path}/shop.db",
        token_table="shop-tokens",
        payload_bucket="shop-contents",
    )
    deployed.s3.override(providers.Object(s3))
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    store = DynamoDbTokenStore(client, "shop-tokens", clock)
    deployed.token_store.override(providers.Object(store))
    deployed.clock.override(providers.Object(clock))
    deployed.sleeper.override(providers.Singleton(VirtualSleeper, clock))
    migrate.upgrade(deployed.engine())
    gone, stays = TenantId("customer-a"), TenantId("customer-b")
    deployed.tenants().add([gone, stays], now=clock.now())
    deployed.tenants().set_enabled(gone, enabled=False)
    for tenant in (gone, stays):
        assert store.claim(
            TokenKey(tenant, "shop"),
            slot=0,
            seen=None,
            owner=tenant,
            lease=timedelta(minutes=1),
            takeover=Takeover(),
        )
    contents = deployed.payloads()
    claims = {tenant: contents.put(tenant, b"an order") for tenant in (gone, stays)}
    held = deployed.eraser().held(Subject(gone))
    assert (held["shop-tokens"], held["large contents"]) == (1, 1)
    assert "large contents" not in deployed.eraser().held(Subject(gone, EntityId("an-entity")))
    erasure = deployed.use_cases.erase_tenant().run(gone, requested_by="a test")
    assert (erasure.removed["shop-tokens"], erasure.removed["large contents"]) == (1, 1)
    assert [one.removed for one in deployed.eraser().records()] == [erasure.removed]
    assert [record.key.tenant_id for record in store.all()] == [stays]
    assert {tenant: contents.get(tenant, claims[tenant]) for tenant in claims} == {
        gone: None,
        stays: b"an order",
    }
    assert deployed.use_cases.erase_tenant().sweep() == 0
    deployed.engine().dispose()


def test_the_keys_that_are_sealed_with_are_a_secret_of_aws(ministack: Ministack) -> None:
    client = ministack.client("secretsmanager")
    client.create_secret(Name="shop/keys", SecretString=new_entry("first"))
    deployed = container(keys_secret="shop/keys")
    deployed.secrets.override(providers.Object(SecretsManagerSecrets(client)))
    sealed = deployed.sealer().seal(b"secret", bound_to=["customer-a"])
    assert key_id_of(sealed) == "first"
    assert deployed.sealer().unseal(sealed, bound_to=["customer-a"]) == b"secret"


class TestEmfObserver(ObserverSuite):
    @pytest.fixture
    def observer(self) -> EmfObserver:
        return emf([])


def emf(lines: list[str]) -> EmfObserver:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    return EmfObserver(
        others=RecordingObserver(), namespace="Shop", exchange="shop", clock=clock, write=lines.append
    )


def handled(function: str, outcome: Outcome, milliseconds: int) -> Handled:
    duration = timedelta(milliseconds=milliseconds)
    return Handled(function=function, queue="orders", outcome=outcome, attempt=1, duration=duration)


def test_metrics_are_a_line_a_function_in_the_form_that_cloudwatch_reads() -> None:
    lines: list[str] = []
    observer = emf(lines)
    observer.handled(handled("take", Outcome.COMPLETED, 20))
    observer.handled(handled("take", Outcome.COMPLETED, 30))
    observer.handled(handled("take", Outcome.RETRY, 5))
    observer.handled(handled("give", Outcome.DEAD_LETTERED, 1))
    assert lines == []
    observer.flush()
    take, give = (json.loads(line) for line in lines)
    [directive] = take["_aws"]["CloudWatchMetrics"]
    assert take["_aws"]["Timestamp"] == 1767225600000
    assert (directive["Namespace"], directive["Dimensions"]) == ("Shop", [["exchange", "function"]])
    assert {one["Name"]: take[one["Name"]] for one in directive["Metrics"]} == {
        "messages.completed": 2,
        "messages.retry": 1,
        "duration": [20.0, 30.0, 5.0],
    }
    assert (give["exchange"], give["function"], give["messages.dead_lettered"]) == ("shop", "give", 1)
    observer.flush()
    assert len(lines) == 2, "what was told is not told again"


def test_no_line_has_more_values_than_cloudwatch_takes() -> None:
    lines: list[str] = []
    observer = emf(lines)
    for _ in range(250):
        observer.handled(handled("take", Outcome.COMPLETED, 1))
    observer.flush()
    assert [len(json.loads(line)["duration"]) for line in lines] == [100, 100, 50]


def test_metrics_are_written_only_where_a_namespace_is_set() -> None:
    assert not isinstance(container().observer(), EmfObserver)
    assert isinstance(container(metrics_namespace="Shop").observer(), EmfObserver)
